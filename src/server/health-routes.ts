import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { TextGenerator } from '../core/index.ts';
import { healthReply, statusReply } from './schemas.ts';

export interface HealthRoutesOptions {
  readonly generator: TextGenerator;
  readonly modelName: string;
}

export const healthRoutes: FastifyPluginAsyncTypebox<HealthRoutesOptions> = async (app, { generator, modelName }) => {
  app.get('/livez', { schema: { summary: 'The process answers', response: { 200: statusReply } } }, async () => ({
    status: 'live',
  }));

  app.get(
    '/readyz',
    { schema: { summary: 'Requests are taken', response: { 200: statusReply, 503: statusReply } } },
    async (_request, reply) => {
      if (generator.isReady) return { status: 'ready' };
      // Without this, a server that gets no requests while it is not ready would never become ready again.
      generator.recover();
      return reply.code(503).send({ status: 'unavailable' });
    },
  );

  app.get('/health', { schema: { summary: 'How full the server is', response: { 200: healthReply } } }, async () => {
    const { numRunning, numWaiting, numFreeSlots, numSteps } = generator.stats();
    return {
      status: generator.isReady ? ('ready' as const) : ('unavailable' as const),
      model: modelName,
      running: numRunning,
      waiting: numWaiting,
      free_slots: numFreeSlots,
      steps: numSteps,
    };
  });
};
