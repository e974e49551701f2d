import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type, { type Static } from 'typebox';
import type { ServedModel } from '../../../core/index.ts';
import { errorBody } from '../../error-body.ts';
import { checkModelName } from './model-name.ts';

const modelCard = Type.Object({
  id: Type.String({ description: 'a name that requests may use' }),
  object: Type.Literal('model'),
  created: Type.Integer({ description: 'seconds since 1970' }),
  owned_by: Type.String(),
  root: Type.String({ description: 'the first name of the model' }),
  parent: Type.Null(),
  max_model_len: Type.Optional(Type.Integer({ description: 'tokens of prompt and answer together' })),
});

const modelList = Type.Object({ object: Type.Literal('list'), data: Type.Array(modelCard) });

/** `GET /v1/models` and `GET /v1/models/{id}`. */
export const modelRoutes: FastifyPluginAsyncTypebox<{ readonly model: ServedModel }> = async (app, { model }) => {
  app.get(
    '/v1/models',
    { schema: { summary: 'The names of the model', response: { 200: modelList, '4xx': errorBody, '5xx': errorBody } } },
    async (): Promise<Static<typeof modelList>> => {
      return { object: 'list', data: model.names.map((name) => cardOf(name, model)) };
    },
  );

  app.get(
    '/v1/models/:id',
    {
      schema: {
        summary: 'One name of the model',
        description: 'The name may contain slashes, as they are or percent-encoded.',
        params: Type.Object({ id: Type.String() }),
        response: { 200: modelCard, '4xx': errorBody, '5xx': errorBody },
      },
    },
    async ({ params: { id } }) => findCard(id, model),
  );

  app.get(
    '/v1/models/*',
    { schema: { hide: true, params: Type.Object({ '*': Type.String() }) } },
    async ({ params: { '*': id } }) => findCard(id, model),
  );
};

/** @throws {ServingError} the model has no such name */
function findCard(id: string, model: ServedModel): Static<typeof modelCard> {
  checkModelName(id, model);
  return cardOf(id, model);
}

function cardOf(id: string, { name, createdAtSeconds, maxModelLen }: ServedModel): Static<typeof modelCard> {
  return {
    id,
    object: 'model',
    created: createdAtSeconds,
    owned_by: 'weft',
    root: name,
    parent: null,
    ...(maxModelLen !== undefined && { max_model_len: maxModelLen }),
  };
}
