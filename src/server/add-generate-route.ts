import type { IncomingMessage } from 'node:http';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Static, TObject } from 'typebox';
import { InternalError, type ServedModel, ServingError, type TextGenerator } from '../core/index.ts';
import { acceptsEventStream } from './accept.ts';
import { clientGone } from './client-gone.ts';
import { collect } from './collect.ts';
import type { GenerateRoute } from './dialect.ts';
import { errorHandler } from './errors.ts';
import { sendEvents } from './event-stream.ts';
import { dropNulls } from './nulls.ts';
import { Stopwatch } from './stopwatch.ts';

export interface RouteOptions {
  readonly generator: TextGenerator;
  readonly model: ServedModel;
  readonly maxBodyBytes: number;
  readonly sseHeartbeatMs: number;
}

/** Adds a `POST` route that generates text. The reply is one JSON body or a stream of server-sent events. */
export function addGenerateRoute<Body extends TObject>(
  app: FastifyInstance,
  route: GenerateRoute<Body>,
  options: RouteOptions,
): void {
  const stopwatches = new WeakMap<IncomingMessage, Stopwatch>();
  app.withTypeProvider<TypeBoxTypeProvider>().post(
    route.url,
    {
      // Spelled out, since an application may have registered @fastify/sse with other defaults.
      sse: { kind: 'manual', heartbeat: false, serializer: JSON.stringify },
      schema: route.schema,
      bodyLimit: options.maxBodyBytes,
      errorHandler: errorHandler(route.errors),
      onRequest: async ({ raw }) => {
        stopwatches.set(raw, new Stopwatch());
      },
      preValidation: async ({ raw, body }) => {
        stopwatches.get(raw)?.received();
        dropNulls(body, route.schema.body);
      },
    },
    async (request, reply) => {
      const stopwatch = stopwatches.get(request.raw) ?? new Stopwatch();
      try {
        return await generate(route, options, { request, reply, stopwatch });
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

async function generate<Body extends TObject>(
  route: GenerateRoute<Body>,
  { generator, model, sseHeartbeatMs: heartbeatMs }: RouteOptions,
  { request: { raw, headers, body: validated }, reply, stopwatch }: Exchange,
): Promise<object | undefined> {
  const body = validated as Static<Body>;
  const request = route.toRequest(body);
  stopwatch.validated();
  const format = route.createReply({ body, request, model, stopwatch });
  const gone = clientGone(raw, reply.raw);
  const events = await generator.submit(request, gone);
  if (!(route.isStream(body) ?? acceptsEventStream(headers.accept))) return collect(events, { format, gone });
  await sendEvents(reply, events, { format, stopwatch, gone, heartbeatMs });
  return undefined;
}
