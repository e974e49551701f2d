import Type, { type Static } from 'typebox';
import { maxLogprobs } from '../../../core/index.ts';

/** OpenAI takes 4 stop strings. More are of use, but every one is looked for in every token. */
const maxStops = 64;
const maxStopLength = 1024;
const maxStopTokenIds = 1024;
const maxBadWords = 256;
const maxSaltLength = 1024;

const tokenId = Type.Integer({ minimum: 0 });
const tokenIds = (description: string) => Type.Optional(Type.Array(tokenId, { minItems: 1, description }));
const stopString = Type.String({ minLength: 1, maxLength: maxStopLength });
const text = (description: string) => Type.Optional(Type.String({ description }));
const flag = (value: boolean, description: string) => Type.Optional(Type.Boolean({ default: value, description }));

/** The values that OpenAI publishes for fields that are left out. */
export const fieldDefaults = {
  n: 1,
  temperature: 1,
  top_p: 1,
  top_k: 0,
  min_p: 0,
  typical_p: 1,
  repetition_penalty: 1,
  presence_penalty: 0,
  frequency_penalty: 0,
  min_tokens: 0,
} as const;

/** Fields of both routes that say which answers are wanted. */
export const generationFields = {
  model: text('a name that the server gives the model; by default its first one'),
  n: Type.Optional(
    Type.Integer({ minimum: 1, default: fieldDefaults.n, description: 'answers per prompt, at most the batch size' }),
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
    Type.Number({ minimum: 0, maximum: 2, default: fieldDefaults.temperature, description: '0 is greedy' }),
  ),
  top_p: Type.Optional(
    Type.Number({
      exclusiveMinimum: 0,
      maximum: 1,
      default: fieldDefaults.top_p,
      description: 'sample among the likeliest tokens with this total probability; 1 is off',
    }),
  ),
  top_k: Type.Optional(
    Type.Integer({
      minimum: -1,
      default: fieldDefaults.top_k,
      description: 'sample among this many of the likeliest tokens; 0 or -1 is off',
    }),
  ),
  min_p: Type.Optional(
    Type.Number({
      minimum: 0,
      maximum: 1,
      default: fieldDefaults.min_p,
      description: 'sample among tokens that are at least this share as likely as the likeliest; 0 is off',
    }),
  ),
  typical_p: Type.Optional(
    Type.Number({
      exclusiveMinimum: 0,
      maximum: 1,
      default: fieldDefaults.typical_p,
      description: 'sample among the most typical tokens with this total probability; 1 is off',
    }),
  ),
  repetition_penalty: Type.Optional(
    Type.Number({
      exclusiveMinimum: 0,
      default: fieldDefaults.repetition_penalty,
      description: 'makes tokens of the prompt and the answer less likely if above 1; 1 is off',
    }),
  ),
  presence_penalty: Type.Optional(
    Type.Number({
      minimum: -2,
      maximum: 2,
      default: fieldDefaults.presence_penalty,
      description: 'subtracted from the logits of tokens of the answer',
    }),
  ),
  frequency_penalty: Type.Optional(
    Type.Number({
      minimum: -2,
      maximum: 2,
      default: fieldDefaults.frequency_penalty,
      description: 'subtracted from the logits of tokens of the answer once per occurrence',
    }),
  ),
  logit_bias: Type.Optional(
    Type.Record(Type.String(), Type.Number({ minimum: -100, maximum: 100 }), {
      description: 'added to the logits of tokens; maps token ids to numbers from -100 to 100',
    }),
  ),
  allowed_token_ids: tokenIds('the only tokens that may be generated'),
  bad_words: Type.Optional(
    Type.Array(Type.String({ minLength: 1, maxLength: maxStopLength }), {
      maxItems: maxBadWords,
      description: `up to ${maxBadWords} texts that are never generated`,
    }),
  ),
  seed: Type.Optional(
    Type.Integer({
      exclusiveMinimum: -(2 ** 63),
      exclusiveMaximum: 2 ** 63,
      description: 'the same seed gives the same tokens; random by default or if -1',
    }),
  ),
  stop: Type.Optional(
    Type.Union([stopString, Type.Array(stopString, { maxItems: maxStops })], {
      description: `text to stop in front of: a string of 1 to ${maxStopLength} characters, or a list of up to ${maxStops} of them`,
    }),
  ),
  stop_token_ids: Type.Optional(
    Type.Array(tokenId, { maxItems: maxStopTokenIds, description: `up to ${maxStopTokenIds} tokens to stop at` }),
  ),
  include_stop_str_in_output: flag(false, 'the text includes the stop string'),
  ignore_eos: flag(false, 'keep going past the end-of-sequence token'),
  min_tokens: Type.Optional(
    Type.Integer({
      minimum: 0,
      default: fieldDefaults.min_tokens,
      description: 'the answer does not end before it has this many tokens',
    }),
  ),
  skip_special_tokens: flag(true, 'special tokens are left out of the text'),
  prompt_logprobs: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: maxLogprobs,
      description:
        'report log probabilities of the tokens of the prompt, and of this many of the likeliest; not with stream',
    }),
  ),
  truncate_prompt_tokens: Type.Optional(
    Type.Union([Type.Literal(-1), Type.Integer({ minimum: 1 })], {
      description: 'at least 1: keep this many of the last tokens of the prompt; or -1: as many as fit',
    }),
  ),
  return_token_ids: flag(false, 'report the token ids of prompts and answers'),
  return_tokens_as_token_ids: flag(false, 'log probabilities name tokens "token_id:5" instead of by their text'),
  priority: Type.Optional(Type.Integer({ default: 0, description: 'lower values go first' })),
  cache_salt: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: maxSaltLength,
      description: 'prompts share computed prefixes only with prompts of the same salt',
    }),
  ),
};

const noEffect = 'accepted; has no effect';

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

const generationBody = Type.Object(generationFields);

export type GenerationBody = Static<typeof generationBody>;
