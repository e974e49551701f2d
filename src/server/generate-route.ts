import { randomInt, randomUUID } from 'node:crypto';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyReply } from 'fastify';
import type { FinishedEvent, GenerateRequest, GenerationEvent, TextGenerator, TokenEvent } from '../core/index.ts';
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

export interface GenerateRouteOptions {
  readonly generator: TextGenerator;
  readonly modelName: string;
}

/** `POST /generate`: one JSON answer, or a stream of server-sent events. */
export const generateRoute: FastifyPluginAsyncTypebox<GenerateRouteOptions> = async (app, { generator, modelName }) => {
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
      preValidation: async (request) => {
        request.body = withoutNulls(request.body) as GenerateBody;
      },
    },
    async (request, reply) => {
      const generateRequest = toRequest(request.body);
      const events = await generator.submit(generateRequest, clientGone(reply));
      const isStream = request.body.stream ?? acceptsEventStream(request.headers.accept);
      if (isStream) return sendEvents(reply, generateRequest.id, modelName, events);
      return collect(generateRequest.id, modelName, events);
    },
  );
};

function toRequest(body: GenerateBody): GenerateRequest {
  const { temperature, top_k: topK, top_p: topP, ignore_eos: ignoreEos } = { ...bodyDefaults, ...body };
  const { stop = [] } = body;
  return {
    id: `gen-${randomUUID()}`,
    prompt: body.prompt,
    maxNewTokens: body.max_new_tokens,
    stop: typeof stop === 'string' ? [stop] : stop,
    sampling: { temperature, topK: Math.max(0, topK), topP, seed: body.seed ?? randomInt(2 ** 47), ignoreEos },
  };
}

/** Null means absent: it is what many clients send for "not set". */
function withoutNulls(body: unknown): unknown {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return body;
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null));
}

function acceptsEventStream(accept: string | undefined): boolean {
  return accept?.split(',').some((range) => range.split(';')[0]?.trim().toLowerCase() === 'text/event-stream') ?? false;
}

/** Aborts when the client leaves before its answer is complete. */
function clientGone(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  if (reply.raw.destroyed) controller.abort();
  reply.raw.once('close', () => {
    // A request's own `close` comes when its body has been read: only the response knows.
    if (!reply.raw.writableFinished) controller.abort();
  });
  return controller.signal;
}

async function collect(
  id: string,
  model: string,
  events: AsyncIterable<GenerationEvent>,
): Promise<GenerateReply | undefined> {
  const tokens: TokenEvent[] = [];
  for await (const event of events) {
    if (event.type === 'token') tokens.push(event);
    else if (event.type === 'error') throw event.error;
    else {
      return {
        text: tokens.map(({ text }) => text).join(''),
        token_ids: tokens.map(({ tokenId }) => tokenId),
        ...doneData(id, model, event),
      };
    }
  }
  return undefined;
}

async function sendEvents(
  reply: FastifyReply,
  id: string,
  model: string,
  events: AsyncIterable<GenerationEvent>,
): Promise<void> {
  const gone = new Promise<void>((resolve) => reply.raw.once('close', resolve));
  for await (const event of events) {
    if (!reply.sse.isConnected) return;
    // The plugin's send waits for ever if the client leaves while its socket is full.
    await Promise.race([reply.sse.send(sseOf(event, id, model)), gone]);
  }
}

interface SseMessage {
  readonly event: string;
  readonly data: TokenData | DoneData | ErrorBody;
}

function sseOf(event: GenerationEvent, id: string, model: string): SseMessage {
  switch (event.type) {
    case 'token':
      return { event: 'token', data: { index: event.index, token_id: event.tokenId, text: event.text } };
    case 'finished':
      return { event: 'done', data: doneData(id, model, event) };
    case 'error':
      return { event: 'error', data: errorBodyOf(event.error) };
  }
}

function doneData(id: string, model: string, { finishReason, usage, timings }: FinishedEvent): DoneData {
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
      queue_ms: round(timings.queueMs),
      prefill_ms: round(timings.prefillMs),
      decode_ms: round(timings.decodeMs),
      total_ms: round(timings.totalMs),
    },
  };
}

/** To the microsecond. */
function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
