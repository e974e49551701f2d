import Type, { type TNumberOptions } from 'typebox';
import { greedy, maxLogprobs, requestDefaults, requestLimits } from '../core/index.ts';

const { maxStops, maxStopLength, maxStopTokenIds, maxBadWords, maxSaltLength, maxPenalty, maxBiases, maxBias } =
  requestLimits;

interface Details {
  readonly default?: number;
  /** Which value turns the parameter off. */
  readonly off?: string;
}

const number = (bounds: TNumberOptions, meaning: string, { off = '0 turns it off', ...preset }: Details) =>
  Type.Optional(Type.Number({ ...bounds, ...preset, description: `${meaning}; ${off}` }));

const share = { exclusiveMinimum: 0, maximum: 1 };
const signed = { minimum: -maxPenalty, maximum: maxPenalty };

export const topP = ({ off = '1 turns it off', ...details }: Details = {}) =>
  number(share, 'sample among the most likely tokens with this total probability', { off, ...details });

export const typicalP = ({ off = '1 turns it off', ...details }: Details = {}) =>
  number(share, 'sample among the most typical tokens with this total probability', { off, ...details });

export const topK = ({ minimum, off, ...preset }: Details & { readonly minimum: number }) =>
  Type.Optional(
    Type.Integer({
      minimum,
      ...preset,
      description: ['sample among this many of the most likely tokens', off].filter(Boolean).join('; '),
    }),
  );

export const repetitionPenalty = number(
  { exclusiveMinimum: 0 },
  'above 1 makes tokens of the prompt and the answer less likely, below 1 more likely',
  { default: greedy.repetitionPenalty, off: '1 turns it off' },
);

export const frequencyPenalty = number(
  signed,
  'subtracted from the logits of tokens of the answer once per occurrence',
  { default: greedy.frequencyPenalty },
);

const minP = number(
  { minimum: 0, maximum: 1 },
  'sample among the tokens that are at least this share as likely as the most likely one',
  { default: greedy.minP },
);

const presencePenalty = number(signed, 'subtracted from the logits of tokens of the answer', {
  default: greedy.presencePenalty,
});

export const tokenId = Type.Integer({ minimum: 0 });

export const flag = (isDefault: boolean, description: string) =>
  Type.Optional(Type.Boolean({ default: isDefault, description }));

export const numLogprobs = (description: string) =>
  Type.Optional(Type.Integer({ minimum: 0, maximum: maxLogprobs, description }));

/** A stop string or a bad word. */
export const word = Type.String({ minLength: 1, maxLength: maxStopLength });

/** @param keys JSON Schema keywords for the token ids */
export const logitBias = (keys: { readonly propertyNames?: object } = {}) =>
  Type.Optional(
    Type.Record(Type.String(), Type.Number({ minimum: -maxBias, maximum: maxBias }), {
      ...keys,
      maxProperties: maxBiases,
      description: `an object of up to ${maxBiases} token ids, as strings, and what to add to their logits, from ${-maxBias} to ${maxBias}`,
    }),
  );

export const minNewTokens = Type.Optional(
  Type.Integer({
    minimum: 0,
    default: requestDefaults.minNewTokens,
    description:
      'until there are this many new tokens, neither the end of the sequence nor a stop token is drawn, and stop strings are ignored',
  }),
);

/** Fields that have the same names in several dialects. */
export const commonFields = {
  top_p: topP({ default: greedy.topP }),
  top_k: topK({ minimum: -1, default: greedy.topK, off: '0 or -1 turns it off' }),
  min_p: minP,
  typical_p: typicalP({ default: greedy.typicalP }),
  repetition_penalty: repetitionPenalty,
  presence_penalty: presencePenalty,
  frequency_penalty: frequencyPenalty,
  allowed_token_ids: Type.Optional(
    Type.Array(tokenId, { minItems: 1, description: 'the only tokens that may be generated; by default all' }),
  ),
  bad_words: Type.Optional(Type.Array(word, { maxItems: maxBadWords, description: 'texts that are never generated' })),
  stop: Type.Optional(
    Type.Union([word, Type.Array(word, { maxItems: maxStops })], {
      description: `text to stop in front of: a string of 1 to ${maxStopLength} characters, or a list of up to ${maxStops} of them`,
    }),
  ),
  stop_token_ids: Type.Optional(
    Type.Array(tokenId, {
      maxItems: maxStopTokenIds,
      description: 'generation ends with the first of these tokens',
    }),
  ),
  ignore_eos: flag(requestDefaults.ignoreEos, 'keep going past the end-of-sequence token'),
  skip_special_tokens: flag(requestDefaults.skipSpecialTokens, 'leave special tokens out of the text'),
  priority: Type.Optional(Type.Integer({ default: requestDefaults.priority, description: 'lower values go first' })),
  cache_salt: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: maxSaltLength,
      description: 'computed prompts are shared only with requests of the same salt',
    }),
  ),
};
