import { createServer, type Server } from 'node:http';
import swagger from '@fastify/swagger';
import { type FastifyInstance, fastify, LogController } from 'fastify';
import type { ServedModel, TextGenerator } from '../core/index.ts';
import { AllowedHosts } from './allowed-hosts.ts';
import { useJsonBodies } from './body-parser.ts';
import { Connections } from './connections.ts';
import { weftErrors } from './dialects/weft/index.ts';
import { addDocsPage } from './docs-page.ts';
import { lastErrorHandler, routeNotFound } from './errors.ts';
import { listenOnBothFamilies } from './localhost.ts';
import { openApiOptions } from './openapi.ts';
import { answerClientError, refuseExpectation } from './raw-replies.ts';
import { requestIdOf } from './request-id.ts';
import { routes } from './routes.ts';

export interface ServerOptions {
  readonly generator: TextGenerator;
  readonly model: ServedModel;
  readonly version: string;
  readonly logLevel: string;
  readonly maxBodyBytes: number;
  /** The name or address to listen on. */
  readonly host: string;
  readonly allowedHosts: readonly string[];
  readonly maxConnections: number;
  readonly maxPipelinedRequests: number;
  readonly stallTimeoutMs: number;
  readonly sseHeartbeatMs: number;
  /** Destination of the log, which has to handle its own errors. By default standard output, where an error ends the process. */
  readonly logStream?: NodeJS.WritableStream;
}

/** An HTTP server and its connections. */
export interface HttpServer {
  readonly app: FastifyInstance;
  readonly connections: Connections;
}

/** How long a request may take to arrive in full. */
const requestTimeoutMs = 60_000;
/** How long a connection may be idle between requests. Proxies usually close theirs after a minute, so they close first. */
const keepAliveTimeoutMs = 72_000;

/** Weft's own HTTP server, not listening yet: its routes and everything that protects it from clients. */
export async function buildServer(options: ServerOptions): Promise<HttpServer> {
  const { generator, model, version, logLevel, logStream, maxBodyBytes, sseHeartbeatMs } = options;
  const onError = lastErrorHandler(weftErrors);
  const server = createServer({
    requestTimeout: requestTimeoutMs,
    keepAliveTimeout: keepAliveTimeoutMs,
    requireHostHeader: false,
  });
  const app = fastify<Server>({
    serverFactory: (handler) => server.on('request', handler),
    genReqId: requestIdOf,
    logger: { level: logLevel, ...(logStream && { stream: logStream }) },
    logController: new LogController({ disableRequestLogging: logLevel !== 'debug' }),
    bodyLimit: maxBodyBytes,
    frameworkErrors: onError,
    clientErrorHandler: answerClientError,
    forceCloseConnections: 'idle',
    // While closing, the generator refuses requests itself, with an error in the usual shape.
    return503OnClosing: false,
  });
  const connections = new Connections(server, { ...options, log: app.log });
  const hosts = new AllowedHosts(server, options);
  server.on('checkExpectation', refuseExpectation);
  if (options.host === 'localhost') app.addHook('preClose', listenOnBothFamilies(server));
  app.addHook('onRequest', async ({ raw, headers }, reply) => {
    reply.header('x-request-id', requestIdOf(raw));
    connections.checkPipelining(raw);
    hosts.check(headers.host);
  });
  useJsonBodies(app);
  app.setErrorHandler(onError);
  app.setNotFoundHandler((request, reply) => onError(routeNotFound(request), request, reply));
  await app.register(swagger, openApiOptions(version));
  await app.register(routes, { generator, model, version, maxBodyBytes, sseHeartbeatMs });
  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger());
  await addDocsPage(app);
  return { app, connections };
}
