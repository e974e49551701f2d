import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { InternalError, type ServedModel, ServingError, type TextGenerator } from '../core/index.ts';
import { acceptsEventStream } from './accept.ts';
import { checkReplySize } from './check-reply-size.ts';
import { clientGone } from './client-gone.ts';
import { collect } from './collect.ts';
import type { GenerateRoute } from './dialect.ts';
import { errorHandler } from './errors.ts';
import { sendEvents } from './event-stream.ts';
import { requestIdOf } from './request-id.ts';
import { Stopwatch } from './stopwatch.ts';
import { Variants } from './variants.ts';

export interface RouteOptions {
  readonly generator: TextGenerator;
  readonly model: ServedModel;
  /** Of this server, for clients that ask. */
  readonly version: string;
  readonly maxBodyBytes: number;
  readonly sseHeartbeatMs: number;
}

/** Adds `POST` routes that generate text. A reply is one JSON body or a stream of server-sent events. */
export function addGenerateRoutes(app: FastifyInstance, routes: readonly GenerateRoute[], options: RouteOptions): void {
  for (const url of new Set(routes.map((route) => route.url))) {
    addGenerateRoute(app, new Variants(routes.filter((route) => route.url === url)), options);
  }
}

function addGenerateRoute(app: FastifyInstance, variants: Variants, options: RouteOptions): void {
  const stopwatches = new WeakMap<IncomingMessage, Stopwatch>();
  app.post(
    variants.first.url,
    {
      // Spelled out, since an application may have registered @fastify/sse with other defaults.
      sse: { kind: 'manual', heartbeat: false, serializer: JSON.stringify },
      schema: variants.schema(),
      validatorCompiler: variants.validatorCompiler(),
      bodyLimit: options.maxBodyBytes,
      errorHandler: (error, request, reply) =>
        errorHandler((variants.find(request.body) ?? variants.first).errors)(error, request, reply),
      onRequest: async ({ raw }) => {
        stopwatches.set(raw, new Stopwatch());
      },
      preValidation: async ({ raw, body }) => {
        stopwatches.get(raw)?.received();
        variants.dropNulls(body);
      },
    },
    async (request, reply) => {
      const stopwatch = stopwatches.get(request.raw) ?? new Stopwatch();
      try {
        return await generate(variants.of(request.body), options, { request, reply, stopwatch });
      } catch (error) {
        if (error instanceof ServingError) throw error;
        request.log.error(error);
        throw new InternalError();
      }
    },
  );
}

interface Exchange {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly stopwatch: Stopwatch;
}

async function generate(
  route: GenerateRoute,
  { generator, model, version, sseHeartbeatMs: heartbeatMs }: RouteOptions,
  { request: { raw, headers, body: validated }, reply, stopwatch }: Exchange,
): Promise<object | undefined> {
  // The schema of the route has checked it.
  const body = validated as Record<string, unknown>;
  const gone = clientGone(raw, reply.raw);
  const request = await route.toRequest(body, { requestId: requestIdOf(raw), model, headers, signal: gone });
  stopwatch.validated();
  const isStream = route.isStream(body) ?? acceptsEventStream(headers.accept);
  if (!isStream) checkReplySize(request, model);
  const format = route.createReply({ body, request, model, version, stopwatch });
  const events = await generator.submit(request, gone);
  if (isStream) {
    await sendEvents(reply, events, { format, stopwatch, gone, heartbeatMs });
    return undefined;
  }
  const whole = await collect(events, gone);
  if (whole === undefined) return undefined;
  if (format.headersOf) reply.headers(format.headersOf(whole));
  return format.bodyOf(whole);
}
