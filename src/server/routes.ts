import { fastifySSE } from '@fastify/sse';
import type { FastifyInstance, FastifyPluginAsync } from 'fastify';
import { addGenerateRoutes, type RouteOptions } from './add-generate-route.ts';
import { useJsonBodies } from './body-parser.ts';
import { chatRoute, completionsRoute, openaiRoutes } from './dialects/openai/index.ts';
import { infoRoute, rootRoute, streamRoute, generateRoute as tgiGenerateRoute } from './dialects/tgi/index.ts';
import { generateRoute, weftErrors } from './dialects/weft/index.ts';
import { errorHandler } from './errors.ts';
import { healthRoutes } from './health-routes.ts';
import { requestIdOf } from './request-id.ts';
import { createValidatorCompiler } from './validation.ts';

const generateRoutes = [generateRoute, tgiGenerateRoute, streamRoute, rootRoute, completionsRoute, chatRoute];

/**
 * Weft's routes, as an encapsulated plugin: it works the same in an application with its own validation, serialization, body parsers and
 * error handler, and changes none of them.
 */
export const routes: FastifyPluginAsync<RouteOptions> = async (app, options) => {
  useOwnConventions(app);
  app.addHook('onRequest', async ({ raw }, reply) => {
    reply.header('x-request-id', requestIdOf(raw));
  });
  app.setErrorHandler(errorHandler(weftErrors));
  // Weft sends its own heartbeats, which depend on whether the client reads.
  await app.register(fastifySSE, { heartbeatInterval: 0 });
  addGenerateRoutes(app, generateRoutes, options);
  // Not all options: `prefix` would apply twice.
  const { generator, model, version } = options;
  await app.register(openaiRoutes, { model, version });
  await app.register(infoRoute, { model, version });
  await app.register(healthRoutes, { generator, model });
};

function useOwnConventions(app: FastifyInstance): void {
  useJsonBodies(app);
  app.setValidatorCompiler(createValidatorCompiler());
  // Types already determine what replies contain; their schemas are documentation.
  app.setSerializerCompiler(() => serialize);
  app.setReplySerializer((payload) => JSON.stringify(payload));
}

/** Fastify also serializes the errors of an application's hooks with this, whose own fields are not enumerable. */
function serialize(payload: unknown): string {
  if (!(payload instanceof Error)) return JSON.stringify(payload);
  const { statusCode, error } = payload as Error & { readonly statusCode?: number; readonly error?: string };
  return JSON.stringify({ statusCode, error, message: payload.message });
}
