import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import Type, { type Static } from 'typebox';
import { requestLimits, type ServedModel } from '../../../core/index.ts';

const unknown = Type.Null({ description: 'not known' });
const limit = (description: string) =>
  Type.Union([Type.Integer({ description }), Type.Null({ description: 'the generator does not tell' })]);

const infoReply = Type.Object({
  model_id: Type.String(),
  model_sha: unknown,
  model_pipeline_tag: Type.String(),
  max_concurrent_requests: limit('answers in the batch and in the queue'),
  max_best_of: limit('answers in the batch'),
  max_stop_sequences: Type.Integer(),
  max_input_tokens: limit('leaves one new token'),
  max_total_tokens: limit('the context: inputs and new tokens'),
  validation_workers: Type.Integer(),
  max_client_batch_size: Type.Integer({ description: 'inputs of one request' }),
  router: Type.String(),
  version: Type.String(),
  sha: unknown,
  docker_label: unknown,
});

export interface InfoOptions {
  readonly model: ServedModel;
  readonly version: string;
}

/** `GET /info`: the model and its limits, as clients of TGI read them. */
export const infoRoute: FastifyPluginAsyncTypebox<InfoOptions> = async (
  app,
  { model: { name, maxBatchSize, maxQueueSize, maxModelLen }, version },
) => {
  const info: Static<typeof infoReply> = {
    model_id: name,
    model_sha: null,
    model_pipeline_tag: 'text-generation',
    max_concurrent_requests:
      maxBatchSize === undefined || maxQueueSize === undefined ? null : maxBatchSize + maxQueueSize,
    max_best_of: maxBatchSize ?? null,
    max_stop_sequences: requestLimits.maxStops,
    max_input_tokens: maxModelLen === undefined ? null : maxModelLen - 1,
    max_total_tokens: maxModelLen ?? null,
    validation_workers: 1,
    max_client_batch_size: 1,
    router: 'weft',
    version,
    sha: null,
    docker_label: null,
  };
  const schema = { summary: 'The model and its limits (TGI)', response: { 200: infoReply } };
  app.get('/info', { schema }, async () => info);
};
