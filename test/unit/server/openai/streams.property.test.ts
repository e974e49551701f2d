import fc from 'fast-check';
import type { Static, TObject } from 'typebox';
import { expect, test } from 'vitest';
import type { GenerationEvent, PromptEvent, ServedModel } from '../../../../src/core/index.ts';
import { collect } from '../../../../src/server/collect.ts';
import type { GenerateRoute } from '../../../../src/server/dialect.ts';
import { chatRoute, completionsRoute } from '../../../../src/server/dialects/openai/index.ts';
import { Stopwatch } from '../../../../src/server/stopwatch.ts';
import { fakeModel } from '../../../support/served-model.ts';
import { codecOf, eventsOf } from './openai-app.ts';

/** A text, and the same cut into tokens at any bytes. */
const cutText = fc
  .tuple(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }), fc.array(fc.nat(20), { maxLength: 12 }))
  .map(([text, cuts]) => {
    const bytes = Buffer.from(text);
    const places = [...new Set([0, ...cuts.filter((cut) => cut < bytes.length), bytes.length])].sort((a, b) => a - b);
    return { text, pieces: places.slice(1).map((end, i) => bytes.subarray(places[i], end)) };
  });

type CutText = typeof cutText extends fc.Arbitrary<infer Value> ? Value : never;

/** A model whose vocabulary is made for a prompt and its answers, and their events. */
function script(prompt: CutText, answers: readonly CutText[]) {
  const codec = codecOf([Buffer.from('</s>'), ...[prompt, ...answers].flatMap(({ pieces }) => pieces)]);
  let next = 1;
  const idsOf = ({ pieces }: CutText) => pieces.map(() => next++);
  const known = (id: number) => ({ logprob: -id, rank: 1, top: [id, 0].map((each) => ({ id: each, logprob: -each })) });
  const promptIds = idsOf(prompt);
  const event: PromptEvent = {
    type: 'prompt',
    prompt: 0,
    tokenIds: [0, ...promptIds],
    logprobs: [undefined, ...promptIds.map(known)],
  };
  const replies = answers.map(idsOf).map((ids) => ({ ids, logprobs: ids.map(known) }));
  const chat = { render: async () => prompt.text };
  return { model: fakeModel({ codec, chat }), events: eventsOf(replies, { prompts: [event], codec }) };
}

interface Scripted {
  readonly model: ServedModel;
  readonly events: readonly GenerationEvent[];
}

/** The choices of a whole reply, and those of all chunks of a stream. */
async function bothReplies<Body extends TObject, Choice>(
  route: GenerateRoute<Body>,
  body: Static<Body>,
  { model, events }: Scripted,
): Promise<{ readonly whole: readonly Choice[]; readonly streamed: readonly Choice[] }> {
  const { signal } = new AbortController();
  const request = await route.toRequest(body, { requestId: 'abc', model, headers: {}, signal });
  const create = () => route.createReply({ body, request, model, version: '1.2.3', stopwatch: new Stopwatch() });
  const answer = await collect(toAsync(events), signal);
  if (answer === undefined) throw new Error('no answer');
  const stream = create();
  const messages = events.flatMap((event) => stream.messagesOf(event));
  expect(messages.at(-1)).toBe('[DONE]');
  const data = messages
    .slice(0, -1)
    .map((message) => (typeof message === 'string' ? JSON.parse(message) : message.data));
  return { whole: choicesOf(create().bodyOf(answer)), streamed: data.flatMap(choicesOf<Choice>) };
}

function choicesOf<Choice>(data: object): readonly Choice[] {
  // As clients get it: without fields that are undefined.
  return (JSON.parse(JSON.stringify(data)) as { readonly choices: readonly Choice[] }).choices;
}

async function* toAsync<T>(values: readonly T[]): AsyncIterable<T> {
  yield* values;
}

interface Completion {
  readonly index: number;
  readonly text: string;
  readonly logprobs: { readonly tokens: readonly string[]; readonly text_offset: readonly number[] } | null;
  readonly finish_reason: string | null;
  readonly token_ids: readonly number[] | null;
  readonly prompt_token_ids: readonly number[] | null;
}

/** The lists of all chunks, one after the other. */
function joined(chunks: readonly Completion[]): object | null {
  if (chunks[0]?.logprobs === null) return null;
  const names = Object.keys(chunks[0]?.logprobs ?? {});
  const listOf = ({ logprobs }: Completion, name: string) =>
    (logprobs as Record<string, unknown[]> | null)?.[name] ?? [];
  return Object.fromEntries(names.map((name) => [name, chunks.flatMap((chunk) => listOf(chunk, name))]));
}

test('the chunks of a completion add up to the whole reply, and offsets find tokens in the text', async () => {
  const options = { echo: fc.boolean(), logprobs: fc.constantFrom(undefined, 0, 2), returnIds: fc.boolean() };
  const texts = { prompt: cutText, answers: fc.array(cutText, { minLength: 1, maxLength: 3 }) };
  await fc.assert(
    fc.asyncProperty(fc.record({ ...texts, ...options }), async ({ prompt, answers, echo, logprobs, returnIds }) => {
      const body = { prompt: prompt.text, n: answers.length, echo, return_token_ids: returnIds };
      const { whole, streamed } = await bothReplies<typeof completionsRoute.schema.body, Completion>(
        completionsRoute,
        logprobs === undefined ? body : { ...body, logprobs },
        script(prompt, answers),
      );
      expect(whole.map(({ text }) => text)).toEqual(answers.map(({ text }) => (echo ? prompt.text + text : text)));
      for (const choice of whole) {
        const chunks = streamed.filter(({ index }) => index === choice.index);
        expect(chunks.map(({ text }) => text).join('')).toBe(choice.text);
        expect(chunks.map((chunk) => chunk.finish_reason ?? '').join('')).toBe(choice.finish_reason);
        expect(chunks[0]?.prompt_token_ids ?? null).toEqual(choice.prompt_token_ids);
        expect(chunks.flatMap((chunk) => chunk.token_ids ?? [])).toEqual(choice.token_ids ?? []);
        const { logprobs: lists } = choice;
        expect(joined(chunks)).toEqual(lists);
        for (const [index, token] of (lists?.tokens ?? []).entries()) {
          if (/^(bytes:|<\/s>$)/.test(token)) continue;
          expect([...choice.text].slice(lists?.text_offset[index]).join('')).toSatisfy((rest: string) =>
            rest.startsWith(token),
          );
        }
      }
    }),
    { numRuns: 300 },
  );
});

interface Chat {
  readonly index: number;
  readonly message: { readonly role: string; readonly content: string };
  readonly delta: { readonly role?: string; readonly content?: string };
  readonly logprobs: { readonly content: readonly object[] } | null;
  readonly finish_reason: string | null;
}

test('the chunks of a chat add up to the whole reply', async () => {
  const texts = { prompt: cutText, answers: fc.array(cutText, { minLength: 1, maxLength: 3 }) };
  await fc.assert(
    fc.asyncProperty(
      fc.record({ ...texts, echo: fc.boolean(), logprobs: fc.boolean() }),
      async ({ prompt, answers, echo, logprobs }) => {
        const messages = [{ role: 'assistant', content: prompt.text }];
        const { whole, streamed } = await bothReplies<typeof chatRoute.schema.body, Chat>(
          chatRoute,
          { messages, n: answers.length, echo, logprobs, ...(logprobs && { top_logprobs: 2 }) },
          script(prompt, answers),
        );
        for (const { index, message, logprobs: known, finish_reason: reason } of whole) {
          const chunks = streamed.filter((chunk) => chunk.index === index);
          expect(chunks.map(({ delta }) => delta.content ?? '').join('')).toBe(message.content);
          expect(chunks.map(({ delta }) => delta.role ?? '').join('')).toBe(message.role);
          expect(chunks.map((chunk) => chunk.finish_reason ?? '').join('')).toBe(reason);
          expect(chunks.flatMap((chunk) => chunk.logprobs?.content ?? [])).toEqual(known?.content ?? []);
        }
      },
    ),
    { numRuns: 300 },
  );
});
