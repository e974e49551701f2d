import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import type { ServedModel, TextGenerator } from '../core/index.ts';

const statusReply = Type.Object({ status: Type.String() });

const healthReply = Type.Object({
  status: Type.Enum(['ready', 'unavailable']),
  model: Type.String(),
  running: Type.Integer({ description: 'sequences in the batch' }),
  waiting: Type.Integer({ description: 'sequences in the queue' }),
  free_slots: Type.Integer(),
  steps: Type.Integer({ description: 'engine steps since the start' }),
});

export interface HealthRoutesOptions {
  readonly generator: TextGenerator;
  readonly model: ServedModel;
}

/** `GET /livez`, `/readyz` and `/health`. */
export const healthRoutes: FastifyPluginAsyncTypebox<HealthRoutesOptions> = async (app, { generator, model }) => {
  app.get('/livez', { schema: { summary: 'The process answers', response: { 200: statusReply } } }, async () => ({
    status: 'live',
  }));

  app.get(
    '/readyz',
    { schema: { summary: 'Requests are taken', response: { 200: statusReply, 503: statusReply } } },
    async (_request, reply) => {
      if (generator.isReady) return { status: 'ready' };
      // A load balancer sends no requests to a server that is not ready, so only this check can find that the engine works again.
      generator.recover();
      return reply.code(503).send({ status: 'unavailable' });
    },
  );

  app.get('/health', { schema: { summary: 'How full the server is', response: { 200: healthReply } } }, async () => {
    const { numRunning, numWaiting, numFreeSlots, numSteps } = generator.stats();
    return {
      status: generator.isReady ? ('ready' as const) : ('unavailable' as const),
      model: model.name,
      running: numRunning,
      waiting: numWaiting,
      free_slots: numFreeSlots,
      steps: numSteps,
    };
  });
};
