import Type, { type Static, type TObject } from 'typebox';
import { greedy, requestDefaults, type SamplingParams } from '../../../core/index.ts';
import { commonFields, flag, logitBias, minNewTokens, numLogprobs } from '../../sampling-fields.ts';

const text = (description: string) => Type.Optional(Type.String({ description }));

/** The values of fields that are left out: OpenAI's defaults, and vLLM's for its own fields. */
export const samplingDefaults: SamplingParams = { ...greedy, temperature: 1 };

/** Fields of both routes that say which answers are wanted. */
export const generationFields = {
  model: text('a name that the server gives the model; by default its first one'),
  n: Type.Optional(
    Type.Integer({ minimum: 1, default: requestDefaults.n, description: 'answers per prompt, at most the batch size' }),
  ),
  stream: flag(false, 'reply with server-sent events, one chunk per token'),
  stream_options: Type.Optional(
    Type.Object(
      {
        include_usage: Type.Optional(
          Type.Boolean({ default: false, description: 'send a last chunk with the usage and no choices' }),
        ),
        continuous_usage_stats: Type.Optional(
          Type.Boolean({
            default: false,
            description: 'with include_usage: every chunk has the usage of its choice so far',
          }),
        ),
      },
      { description: 'only with stream' },
    ),
  ),
  temperature: Type.Optional(
    Type.Number({ minimum: 0, maximum: 2, default: samplingDefaults.temperature, description: '0 is greedy' }),
  ),
  ...commonFields,
  logit_bias: logitBias(),
  seed: Type.Optional(
    Type.Integer({
      exclusiveMinimum: -(2 ** 63),
      exclusiveMaximum: 2 ** 63,
      description: 'the same seed gives the same tokens; random by default or if -1',
    }),
  ),
  include_stop_str_in_output: flag(false, 'the text includes the stop string'),
  min_tokens: minNewTokens,
  prompt_logprobs: numLogprobs(
    'report log probabilities of the tokens of the prompt, and of this many of the most likely ones; not with stream',
  ),
  truncate_prompt_tokens: Type.Optional(
    Type.Union([Type.Literal(-1), Type.Integer({ minimum: 1 })], {
      description: 'at least 1: keep this many tokens of the prompt; or -1: as many as fit',
    }),
  ),
  truncation_side: Type.Optional(
    Type.Union([Type.Literal('left'), Type.Literal('right')], {
      default: requestDefaults.truncationSide,
      description: '`left` to truncate to the last tokens of the prompt, or `right` to the first ones',
    }),
  ),
  return_token_ids: flag(false, 'report the token ids of prompts and answers'),
  return_tokens_as_token_ids: flag(false, 'log probabilities name tokens "token_id:5" instead of by their text'),
};

export const noEffect = 'accepted; has no effect';

/** Fields of both routes that say nothing about the answer. */
export const ignoredFields = {
  user: text(noEffect),
  store: Type.Optional(Type.Boolean({ description: noEffect })),
  metadata: Type.Optional(Type.Record(Type.String(), Type.Unknown(), { description: noEffect })),
  service_tier: text(noEffect),
  safety_identifier: text(noEffect),
  prompt_cache_key: text(noEffect),
  spaces_between_special_tokens: Type.Optional(Type.Boolean({ description: noEffect })),
};

export type GenerationBody = Static<TObject<typeof generationFields>>;
