import { createServer, type Server } from 'node:http';
import { fastifySSE } from '@fastify/sse';
import swagger from '@fastify/swagger';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { type FastifyInstance, type FastifyRequest, fastify, LogController } from 'fastify';
import { InvalidRequestError, messageOf, type TextGenerator } from '../core/index.ts';
import { AllowedHosts } from './allowed-hosts.ts';
import { Connections } from './connections.ts';
import { answerClientError, refuseExpectation, routeNotFound, sendError } from './errors.ts';
import { generateRoute } from './generate-route.ts';
import { healthRoutes } from './health-routes.ts';
import { listenOnBothFamilies } from './localhost.ts';
import { openApiOptions } from './openapi.ts';
import { checkEncoding } from './request-encoding.ts';
import { ajvOptions } from './validation.ts';

export interface ServerOptions {
  readonly generator: TextGenerator;
  readonly modelName: string;
  readonly version: string;
  readonly logLevel: string;
  readonly maxBodyBytes: number;
  /** Name or address to be listened on. */
  readonly host: string;
  readonly allowedHosts: readonly string[];
  readonly maxConnections: number;
  readonly maxPipelinedRequests: number;
  readonly stallTimeoutMs: number;
  readonly sseHeartbeatMs: number;
  /** Where the log goes; it has to deal with its own errors. By default standard output, where an error ends the process. */
  readonly logStream?: NodeJS.WritableStream;
}

/** An HTTP server, and who is connected to it. */
export interface HttpServer {
  readonly app: FastifyInstance;
  readonly connections: Connections;
}

/** How long a request may take to arrive in full. */
const requestTimeoutMs = 60_000;
/** How long a connection may wait for its next request: longer than the usual minute of a proxy, which closes first. */
const keepAliveTimeoutMs = 72_000;

/** The HTTP server, not listening yet. */
export async function buildServer(options: ServerOptions): Promise<HttpServer> {
  const { generator, modelName, version, logLevel, maxBodyBytes, sseHeartbeatMs, logStream } = options;
  const server = createServer({
    requestTimeout: requestTimeoutMs,
    keepAliveTimeout: keepAliveTimeoutMs,
    requireHostHeader: false,
  });
  const app = fastify<Server>({
    serverFactory: (handler) => server.on('request', handler),
    logger: { level: logLevel, ...(logStream && { stream: logStream }) },
    logController: new LogController({ disableRequestLogging: logLevel !== 'debug' }),
    bodyLimit: maxBodyBytes,
    ajv: ajvOptions,
    frameworkErrors: sendError,
    clientErrorHandler: answerClientError,
    forceCloseConnections: 'idle',
    // While closing, the generator itself refuses, in the shape of all other errors.
    return503OnClosing: false,
  }).withTypeProvider<TypeBoxTypeProvider>();
  const connections = new Connections(server, { ...options, log: app.log });
  const hosts = new AllowedHosts(server, options);
  server.on('checkExpectation', refuseExpectation);
  if (options.host === 'localhost') app.addHook('preClose', listenOnBothFamilies(server));
  app.addHook('onRequest', async ({ raw, headers }) => {
    connections.checkPipelining(raw);
    hosts.check(headers.host);
  });
  app.removeContentTypeParser('text/plain');
  app.addContentTypeParser('application/json', { parseAs: 'string' }, parseJson);
  app.setErrorHandler(sendError);
  app.setNotFoundHandler((request, reply) => sendError(routeNotFound(request), request, reply));
  // Its own heartbeats do not heed whether the client reads.
  await app.register(fastifySSE, { heartbeatInterval: 0 });
  await app.register(swagger, openApiOptions(version));
  await app.register(generateRoute, { generator, modelName, connections, sseHeartbeatMs });
  await app.register(healthRoutes, { generator, modelName });
  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger());
  return { app, connections };
}

/** A `__proto__` in the body is a field like any other, of its object alone: the schema refuses it by name. */
async function parseJson(request: FastifyRequest, body: string | Buffer): Promise<unknown> {
  checkEncoding(request.headers);
  if (body.length === 0) throw new InvalidRequestError('the body is empty; it has to be a JSON object');
  try {
    return JSON.parse(body.toString());
  } catch (error) {
    throw new InvalidRequestError(`the body is not JSON: ${messageOf(error)}`);
  }
}
