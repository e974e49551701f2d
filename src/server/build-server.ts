import { fastifySSE } from '@fastify/sse';
import swagger from '@fastify/swagger';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { type FastifyInstance, type FastifyRequest, fastify, LogController } from 'fastify';
import { InvalidRequestError, messageOf, type TextGenerator } from '../core/index.ts';
import { answerClientError, routeNotFound, sendError } from './errors.ts';
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

/** The HTTP server, not listening yet. */
export async function buildServer(options: ServerOptions): Promise<FastifyInstance> {
  const { generator, modelName, version, logLevel, maxBodyBytes } = options;
  const app = fastify({
    logger: { level: logLevel },
    logController: new LogController({ disableRequestLogging: logLevel !== 'debug' }),
    bodyLimit: maxBodyBytes,
    ajv: ajvOptions,
    frameworkErrors: sendError,
    clientErrorHandler: answerClientError,
    forceCloseConnections: 'idle',
    // While closing, the generator itself refuses, in the shape of all other errors.
    return503OnClosing: false,
  }).withTypeProvider<TypeBoxTypeProvider>();
  app.removeContentTypeParser('text/plain');
  app.addContentTypeParser('application/json', { parseAs: 'string' }, parseJson);
  app.setErrorHandler(sendError);
  app.setNotFoundHandler((request, reply) => sendError(routeNotFound(request), request, reply));
  await app.register(fastifySSE);
  await app.register(swagger, {
    openapi: { info: { title: 'Weft', description: 'LLM text generation with continuous batching', version } },
  });
  await app.register(generateRoute, { generator, modelName });
  await app.register(healthRoutes, { generator, modelName });
  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger());
  return app;
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
