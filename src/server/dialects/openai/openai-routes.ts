import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type from 'typebox';
import type { ServedModel } from '../../../core/index.ts';
import { errorHandler } from '../../errors.ts';
import { openaiErrors } from './errors.ts';
import { modelRoutes } from './model-routes.ts';
import { tokenizeRoutes } from './tokenize-routes.ts';

export interface OpenaiRoutesOptions {
  readonly model: ServedModel;
  /** Of this server. */
  readonly version: string;
}

/** The routes of OpenAI and vLLM that generate nothing. */
export const openaiRoutes: FastifyPluginAsyncTypebox<OpenaiRoutesOptions> = async (app, { model, version }) => {
  app.setErrorHandler(errorHandler(openaiErrors));
  await app.register(modelRoutes, { model });
  await app.register(tokenizeRoutes, { model });
  app.get(
    '/version',
    { schema: { summary: 'The version of the server', response: { 200: Type.Object({ version: Type.String() }) } } },
    async () => ({ version }),
  );
};
