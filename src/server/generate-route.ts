import { randomInt, randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { type GenerateRequest, InvalidRequestError, type TextGenerator } from '../core/index.ts';
import type { Connections } from './connections.ts';
import { sendEvents } from './event-stream.ts';
import { collect } from './reply.ts';
import { bodyDefaults, errorBody, type GenerateBody, generateBody, generateReplies } from './schemas.ts';
import { Stopwatch } from './stopwatch.ts';

export interface GenerateRouteOptions {
  readonly generator: TextGenerator;
  readonly modelName: string;
  readonly connections: Connections;
  readonly sseHeartbeatMs: number;
}

/** `POST /generate`: one JSON answer, or a stream of server-sent events. */
export const generateRoute: FastifyPluginAsyncTypebox<GenerateRouteOptions> = async (
  app,
  { generator, modelName, connections, sseHeartbeatMs: heartbeatMs },
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
      const gone = connections.clientGone(request.raw);
      const answer = { id: generateRequest.id, model: modelName, stopwatch, gone };
      const events = await generator.submit(generateRequest, gone);
      const isStream = request.body.stream ?? acceptsEventStream(request.headers.accept);
      return isStream ? sendEvents(reply, events, { ...answer, heartbeatMs }) : collect(events, answer);
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
