import { fastifySSE } from '@fastify/sse';
import swagger from '@fastify/swagger';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { type FastifyInstance, type FastifyRequest, fastify, LogController } from 'fastify';
import { InvalidRequestError, messageOf, type TextGenerator } from '../core/index.ts';
import { Connections } from './connections.ts';
import { answerClientError, refuseExpectation, routeNotFound, sendError } from './errors.ts';
import { generateRoute } from './generate-route.ts';
import { healthRoutes } from './health-routes.ts';
import { ajvOptions } from './validation.ts';

export interface ServerOptions {
  readonly generator: TextGenerator;
  readonly modelName: string;
  readonly version: string;
  readonly logLevel: string;
  readonly maxBodyBytes: number;
}

/** An HTTP server, and who is connected to it. */
export interface HttpServer {
  readonly app: FastifyInstance;
  readonly connections: Connections;
}

/** How long a request may take to arrive in full. */
const requestTimeoutMs = 60_000;

/** The HTTP server, not listening yet. */
export async function buildServer(options: ServerOptions): Promise<HttpServer> {
  const { generator, modelName, version, logLevel, maxBodyBytes } = options;
  const app = fastify({
    logger: { level: logLevel },
    logController: new LogController({ disableRequestLogging: logLevel !== 'debug' }),
    bodyLimit: maxBodyBytes,
    requestTimeout: requestTimeoutMs,
    http: { requireHostHeader: false },
    ajv: ajvOptions,
    frameworkErrors: sendError,
    clientErrorHandler: answerClientError,
    forceCloseConnections: 'idle',
    // While closing, the generator itself refuses, in the shape of all other errors.
    return503OnClosing: false,
  }).withTypeProvider<TypeBoxTypeProvider>();
  const connections = new Connections(app.server);
  app.server.on('checkExpectation', refuseExpectation);
  app.removeContentTypeParser('text/plain');
  app.addContentTypeParser('application/json', { parseAs: 'string' }, parseJson);
  app.setErrorHandler(sendError);
  app.setNotFoundHandler((request, reply) => sendError(routeNotFound(request), request, reply));
  await app.register(fastifySSE);
  await app.register(swagger, {
    openapi: { info: { title: 'Weft', description: 'LLM text generation with continuous batching', version } },
  });
  await app.register(generateRoute, { generator, modelName, connections });
  await app.register(healthRoutes, { generator, modelName });
  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger());
  return { app, connections };
}

/** A `__proto__` in the body is a field like any other, of its object alone: the schema refuses it by name. */
async function parseJson(_request: FastifyRequest, body: string | Buffer): Promise<unknown> {
  if (body.length === 0) throw new InvalidRequestError('the body is empty; it has to be a JSON object');
  try {
    return JSON.parse(body.toString());
  } catch (error) {
    throw new InvalidRequestError(`the body is not JSON: ${messageOf(error)}`);
  }
}
