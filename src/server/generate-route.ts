import { randomInt, randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyReply } from 'fastify';
import {
  type FinishedEvent,
  type GenerateRequest,
  type GenerationEvent,
  InvalidRequestError,
  type TextGenerator,
  type TokenEvent,
} from '../core/index.ts';
import type { Connections } from './connections.ts';
import { errorBodyOf } from './errors.ts';
import {
  bodyDefaults,
  type DoneData,
  type ErrorBody,
  errorBody,
  type GenerateBody,
  type GenerateReply,
  generateBody,
  generateReplies,
  type TokenData,
} from './schemas.ts';
import { Stopwatch } from './stopwatch.ts';

export interface GenerateRouteOptions {
  readonly generator: TextGenerator;
  readonly modelName: string;
  readonly connections: Connections;
}

/** `POST /generate`: one JSON answer, or a stream of server-sent events. */
export const generateRoute: FastifyPluginAsyncTypebox<GenerateRouteOptions> = async (
  app,
  { generator, modelName, connections },
) => {
  const stopwatches = new WeakMap<IncomingMessage, Stopwatch>();
  app.post(
    '/generate',
    {
      sse: 'manual',
      schema: {
        summary: 'Continue a prompt',
        description:
          'With `"stream": true` or `Accept: text/event-stream`: one `token` event per token, then one `done` or `error` event.',
        body: generateBody,
        response: { 200: generateReplies, '4xx': errorBody, '5xx': errorBody },
      },
      onRequest: async (request) => {
        stopwatches.set(request.raw, new Stopwatch());
      },
      preValidation: async (request) => {
        stopwatches.get(request.raw)?.received();
        dropNulls(request.body);
      },
    },
    async (request, reply) => {
      const stopwatch = stopwatches.get(request.raw) ?? new Stopwatch();
      const generateRequest = toRequest(request.body);
      stopwatch.validated();
      const answer = { id: generateRequest.id, model: modelName, stopwatch };
      const gone = connections.clientGone(request.raw);
      const events = await generator.submit(generateRequest, gone);
      const isStream = request.body.stream ?? acceptsEventStream(request.headers.accept);
      return isStream ? sendEvents(reply, events, { ...answer, gone }) : collect(events, answer);
    },
  );
};

function toRequest(body: GenerateBody): GenerateRequest {
  const { temperature, top_k: topK, top_p: topP, ignore_eos: ignoreEos } = { ...bodyDefaults, ...body };
  const { stop = [] } = body;
  if ([stop].flat().some((text) => !text.isWellFormed())) {
    throw new InvalidRequestError('stop holds half a character; it has to be whole ones', 'stop');
  }
  return {
    id: `gen-${randomUUID()}`,
    prompt: body.prompt,
    maxNewTokens: body.max_new_tokens,
    stop: typeof stop === 'string' ? [stop] : stop,
    sampling: { temperature, topK: Math.max(0, topK), topP, seed: body.seed ?? randomInt(2 ** 47), ignoreEos },
  };
}

/** Null means absent: it is what many clients send for "not set". */
function dropNulls(body: unknown): void {
  if (typeof body !== 'object' || body === null) return;
  const fields = body as Record<string, unknown>;
  for (const field of Object.keys(generateBody.properties)) if (fields[field] === null) delete fields[field];
}

function acceptsEventStream(accept = ''): boolean {
  const ranges = accept
    .toLowerCase()
    .split(',')
    .map((range) => range.split(';').map((part) => part.trim()));
  return ranges.some(
    ([type, ...rest]) => type === 'text/event-stream' && !rest.some((part) => /^q=0(\.0*)?$/.test(part)),
  );
}

/** What names an answer in its last event, or in the whole of it. */
interface Answer {
  readonly id: string;
  readonly model: string;
  readonly stopwatch: Stopwatch;
}

async function collect(events: AsyncIterable<GenerationEvent>, answer: Answer): Promise<GenerateReply | undefined> {
  const tokens: TokenEvent[] = [];
  for await (const event of events) {
    if (event.type === 'token') tokens.push(event);
    else if (event.type === 'error') throw event.error;
    else {
      return {
        text: tokens.map(({ text }) => text).join(''),
        token_ids: tokens.map(({ tokenId }) => tokenId),
        ...doneData(event, answer),
      };
    }
  }
  return undefined;
}

async function sendEvents(
  reply: FastifyReply,
  events: AsyncIterable<GenerationEvent>,
  { gone, ...answer }: Answer & { readonly gone: AbortSignal },
): Promise<void> {
  const left = new Promise<void>((resolve) => gone.addEventListener('abort', () => resolve(), { once: true }));
  for await (const event of events) {
    if (gone.aborted || !reply.sse.isConnected) return;
    // The plugin's send waits for ever if the client leaves while its socket is full.
    await answer.stopwatch.write(() => Promise.race([reply.sse.send(sseOf(event, answer)), left]));
  }
}

interface SseMessage {
  readonly event: string;
  readonly data: TokenData | DoneData | ErrorBody;
}

function sseOf(event: GenerationEvent, answer: Answer): SseMessage {
  switch (event.type) {
    case 'token':
      return { event: 'token', data: { index: event.index, token_id: event.tokenId, text: event.text } };
    case 'finished':
      return { event: 'done', data: doneData(event, answer) };
    case 'error':
      return { event: 'error', data: errorBodyOf(event.error) };
  }
}

function doneData({ finishReason, usage, timings }: FinishedEvent, { id, model, stopwatch }: Answer): DoneData {
  const own = stopwatch.read();
  return {
    id,
    model,
    finish_reason: finishReason,
    usage: {
      prompt_tokens: usage.promptTokens,
      completion_tokens: usage.completionTokens,
      total_tokens: usage.promptTokens + usage.completionTokens,
    },
    timings: {
      receive_ms: round(own.receiveMs),
      validate_ms: round(own.validateMs),
      tokenize_ms: round(timings.tokenizeMs),
      queue_ms: round(timings.queueMs),
      prefill_ms: round(timings.prefillMs),
      decode_ms: round(timings.decodeMs),
      detokenize_ms: round(timings.detokenizeMs),
      write_ms: round(own.writeMs),
      total_ms: round(own.totalMs),
    },
  };
}

/** To the microsecond. */
function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
