import { fastify } from 'fastify';
import { afterAll, expect, onTestFinished } from 'vitest';
import type {
  ChatMessage,
  ChatPromptOptions,
  FinishedEvent,
  GenerationEvent,
  PromptEvent,
  SampledToken,
  ServedModel,
  TextCodec,
  TokenLogprobs,
} from '../../../../src/core/index.ts';
import { routes } from '../../../../src/server/routes.ts';
import { FakeGenerator } from '../../../support/fake-generator.ts';
import { fakeModel } from '../../../support/served-model.ts';

/** The tokens of the fake vocabulary. "🚀" is two tokens that are parts of it. The first one is special. */
const vocabulary: readonly Uint8Array[] = [
  Buffer.from('</s>'),
  Buffer.from('Hello'),
  Buffer.from(' world'),
  Buffer.from('!'),
  Buffer.from([0xf0, 0x9f]),
  Buffer.from([0x9a, 0x80]),
  Buffer.from('é'),
  Buffer.from('!'),
  Buffer.from('__proto__'),
];

/** Finds the longest token at each place of a text. */
export function codecOf(tokens: readonly Uint8Array[] = vocabulary): TextCodec {
  const bytesOf = (id: number) => tokens[id] ?? new Uint8Array();
  const isSpecial = (id: number) => id === 0;
  return {
    bytesOf,
    isSpecial,
    spellingOf: (id) => Buffer.from(bytesOf(id)).toString('latin1').replaceAll(' ', 'Ġ'),
    decode: (ids, { skipSpecialTokens }) =>
      Buffer.concat(ids.filter((id) => !(skipSpecialTokens && isSpecial(id))).map(bytesOf)).toString(),
    encode: async (text, { addSpecialTokens }) => {
      const ids = addSpecialTokens ? [0] : [];
      for (let rest = Buffer.from(text); rest.length > 0; ) {
        const fitting = tokens.flatMap((token, id) => (rest.indexOf(token) === 0 ? [{ id, token }] : []));
        const [best] = fitting.sort((a, b) => b.token.length - a.token.length);
        if (best === undefined) throw new Error(`no token for ${rest}`);
        ids.push(best.id);
        rest = rest.subarray(best.token.length);
      }
      return ids;
    },
  };
}

/** Renders messages as lines, and records what it is asked for. */
export class FakeTemplate {
  readonly calls: { readonly messages: readonly ChatMessage[]; readonly options: Omit<ChatPromptOptions, 'signal'> }[] =
    [];

  async render(messages: readonly ChatMessage[], { signal: _, ...options }: ChatPromptOptions): Promise<string> {
    this.calls.push({ messages, options });
    return messages.map(({ role, content }) => `${role}: ${content}\n`).join('');
  }
}

export interface Reply {
  readonly ids: readonly number[];
  readonly finishReason?: 'stop' | 'length';
  readonly stopReason?: string | number;
  readonly logprobs?: readonly TokenLogprobs[];
}

const timings = { tokenizeMs: 0, queueMs: 0, prefillMs: 0, decodeMs: 0, detokenizeMs: 0 };

/** The events of a request: its prompts, then the tokens of all answers in turn. */
export function eventsOf(
  replies: readonly Reply[],
  {
    prompts = [],
    promptTokens = 3,
    codec = codecOf(),
  }: { readonly prompts?: readonly PromptEvent[]; readonly promptTokens?: number; readonly codec?: TextCodec } = {},
): GenerationEvent[] {
  const all = replies.map((reply, choice) => answerEvents(reply, { choice, promptTokens, codec }));
  const longest = Math.max(...all.map((events) => events.length));
  const turns = Array.from({ length: longest }, (_, turn) => all.flatMap((events) => events[turn] ?? []));
  return [...prompts, ...turns.flat(2)];
}

/** The events of each step. */
function answerEvents(
  { ids, finishReason = 'length', stopReason, logprobs }: Reply,
  {
    choice,
    promptTokens,
    codec,
  }: { readonly choice: number; readonly promptTokens: number; readonly codec: TextCodec },
): GenerationEvent[][] {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  const finished: FinishedEvent = {
    type: 'finished',
    choice,
    finishReason,
    stopReason,
    usage: { promptTokens, completionTokens: ids.length },
    timings,
  };
  return ids.map((id, index) => {
    const isLast = index === ids.length - 1;
    const bytes = codec.isSpecial(id) ? new Uint8Array() : codec.bytesOf(id);
    const text = decoder.decode(bytes, { stream: !isLast });
    const known = logprobs?.[index];
    const token: SampledToken = known === undefined ? { id } : { id, logprobs: known };
    const event: GenerationEvent = { type: 'token', choice, index, token, text, isLast };
    return isLast ? [event, finished] : [event];
  });
}

/** An application with the routes of the dialect. */
async function createOpenai(changes: Partial<ServedModel>) {
  const app = fastify();
  const generator = new FakeGenerator();
  const template = new FakeTemplate();
  const model = fakeModel({
    name: 'facebook/opt-125m',
    names: ['facebook/opt-125m', 'opt'],
    maxModelLen: 100,
    maxBatchSize: 8,
    vocabSize: vocabulary.length,
    codec: codecOf(),
    chat: template,
    ...changes,
  });
  await app.register(routes, { generator, model, version: '1.2.3', maxBodyBytes: 1e6, sseHeartbeatMs: 15_000 });
  const post = (url: string) => async (payload: object) => {
    const response = await app.inject({ method: 'POST', url, payload, headers: { 'x-request-id': 'abc' } });
    return { status: response.statusCode, body: response.body, json: () => response.json() };
  };
  return {
    app,
    generator,
    template,
    model,
    complete: post('/v1/completions'),
    chat: post('/v1/chat/completions'),
    tokenize: post('/tokenize'),
    detokenize: post('/detokenize'),
  };
}

let shared: ReturnType<typeof createOpenai> | undefined;
afterAll(async () => (await shared)?.app.close());

/** An application of its own if `changes` say so; otherwise one for all tests of a file, as it was at the start. */
export async function startOpenai(changes?: Partial<ServedModel>) {
  if (changes !== undefined) {
    const own = await createOpenai(changes);
    onTestFinished(() => own.app.close());
    return own;
  }
  shared ??= createOpenai({});
  const { generator, template } = await shared;
  generator.requests.length = 0;
  generator.refusal = undefined;
  generator.events = eventsOf([{ ids: [1] }]);
  template.calls.length = 0;
  return shared;
}

/** The data of the events of a stream, parsed except for the end marker. */
export function dataOf(body: string): unknown[] {
  return body
    .split('\n\n')
    .filter((frame) => frame !== '')
    .map((frame) => frame.replace(/^data: /, ''))
    .map((data) => (data === '[DONE]' ? data : JSON.parse(data)));
}

/** The smallest bodies. */
export const completion = { prompt: 'Hello' };
export const chat = { messages: [{ role: 'user', content: 'Hello' }] };

/** The function of {@link startOpenai} that sends a body. */
export type Route = 'complete' | 'chat';

/** The error of a body that is refused before it becomes a request. */
export async function refusalOf(route: Route, body: object) {
  const app = await startOpenai();
  const reply = await app[route](body);
  expect(app.generator.requests).toEqual([]);
  const { message, param, code } = reply.json().error;
  return { status: reply.status, message, param, code };
}
