import { fastifySSE } from '@fastify/sse';
import type { FastifyInstance, FastifyPluginAsync } from 'fastify';
import { useJsonBodies } from './body-parser.ts';
import { generateRoute, weftErrors } from './dialects/weft/index.ts';
import { errorHandler } from './errors.ts';
import { addGenerateRoute, type RouteOptions } from './generate-route.ts';
import { healthRoutes } from './health-routes.ts';
import { createValidatorCompiler } from './validation.ts';

/**
 * Weft's routes, as an encapsulated plugin: it works the same in an application with its own validation, serialization, body parsers and
 * error handler, and changes none of them.
 */
export const routes: FastifyPluginAsync<RouteOptions> = async (app, options) => {
  useOwnConventions(app);
  app.setErrorHandler(errorHandler(weftErrors));
  // Weft sends its own heartbeats, which depend on whether the client reads.
  await app.register(fastifySSE, { heartbeatInterval: 0 });
  addGenerateRoute(app, generateRoute, options);
  // Not all options: `prefix` would apply twice.
  await app.register(healthRoutes, { generator: options.generator, modelName: options.modelName });
};

function useOwnConventions(app: FastifyInstance): void {
  useJsonBodies(app);
  app.setValidatorCompiler(createValidatorCompiler());
  // Types already determine what replies contain; their schemas are documentation.
  app.setSerializerCompiler(() => JSON.stringify);
  app.setReplySerializer((payload) => JSON.stringify(payload));
}
