import Type, { type Static } from 'typebox';
import { defaultMaxNewTokens, greedy, maxLogprobs, requestDefaults, requestLimits } from '../../../core/index.ts';

const { maxStops, maxStopLength, maxStopTokenIds, maxBadWords, maxPenalty, maxBiases, maxBias } = requestLimits;

const text = Type.String({ minLength: 1 });
const word = Type.String({ minLength: 1, maxLength: maxStopLength });
const tokenId = Type.Integer({ minimum: 0 });
const tokenIds = Type.Array(tokenId, { minItems: 1 });

const prompt = Type.Union([text, tokenIds], { description: 'a non-empty string, or a non-empty list of token ids' });

const penalty = (description: string) =>
  Type.Optional(Type.Number({ minimum: -maxPenalty, maximum: maxPenalty, default: 0, description }));

const flag = (description: string, isDefault: boolean) =>
  Type.Optional(Type.Boolean({ default: isDefault, description }));

const numLogprobs = (description: string) =>
  Type.Optional(Type.Integer({ minimum: 0, maximum: maxLogprobs, description }));

/** The values of fields that the body leaves out, where Weft's own values have another form. */
const off = { top_k: -1 } as const;

export const generateBody = Type.Object(
  {
    prompt: Type.Union([text, Type.Array(prompt, { minItems: 1 }), tokenIds], {
      description: 'a non-empty string, or a non-empty list of token ids, or a non-empty list of such prompts',
    }),
    n: Type.Optional(
      Type.Integer({
        minimum: 1,
        default: requestDefaults.n,
        description: 'answers per prompt, at most the batch size; each draws its own random numbers',
      }),
    ),
    max_new_tokens: Type.Optional(
      Type.Integer({
        minimum: 1,
        default: defaultMaxNewTokens,
        description: 'maximum number of new tokens; by default limited to what the context leaves',
      }),
    ),
    min_new_tokens: Type.Optional(
      Type.Integer({
        minimum: 0,
        default: requestDefaults.minNewTokens,
        description:
          'before this many new tokens, neither stop strings nor stop tokens nor the end of the sequence count',
      }),
    ),
    temperature: Type.Optional(Type.Number({ minimum: 0, default: greedy.temperature, description: '0 is greedy' })),
    top_k: Type.Optional(
      Type.Integer({
        minimum: -1,
        default: off.top_k,
        description: 'sample among this many of the likeliest tokens; 0 or -1 is off',
      }),
    ),
    top_p: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        maximum: 1,
        default: greedy.topP,
        description: 'sample among the likeliest tokens with this total probability; 1 is off',
      }),
    ),
    min_p: Type.Optional(
      Type.Number({
        minimum: 0,
        maximum: 1,
        default: greedy.minP,
        description: 'sample among the tokens that are at least this share as likely as the likeliest; 0 is off',
      }),
    ),
    typical_p: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        maximum: 1,
        default: greedy.typicalP,
        description: 'sample among the most typical tokens with this total probability; 1 is off',
      }),
    ),
    repetition_penalty: Type.Optional(
      Type.Number({
        exclusiveMinimum: 0,
        default: greedy.repetitionPenalty,
        description: 'makes tokens of the prompt and the output less likely; 1 is off',
      }),
    ),
    presence_penalty: penalty('subtracted from the logits of tokens of the output; 0 is off'),
    frequency_penalty: penalty('subtracted from the logits of tokens of the output once per occurrence; 0 is off'),
    logit_bias: Type.Optional(
      Type.Record(Type.String(), Type.Number({ minimum: -maxBias, maximum: maxBias }), {
        propertyNames: { pattern: '^(0|[1-9][0-9]*)$' },
        maxProperties: maxBiases,
        description: `an object of up to ${maxBiases} token ids, as strings, and what to add to their logits, from ${-maxBias} to ${maxBias}`,
      }),
    ),
    allowed_token_ids: Type.Optional(
      Type.Array(tokenId, { minItems: 1, description: 'the only tokens that may be generated; by default all' }),
    ),
    bad_words: Type.Optional(
      Type.Array(word, { maxItems: maxBadWords, description: 'words that are never generated' }),
    ),
    seed: Type.Optional(Type.Integer({ description: 'the same seed gives the same tokens; by default random' })),
    stop: Type.Optional(
      Type.Union([word, Type.Array(word, { maxItems: maxStops })], {
        description: `text to stop in front of: a string of 1 to ${maxStopLength} characters, or a list of up to ${maxStops} of them`,
      }),
    ),
    stop_token_ids: Type.Optional(
      Type.Array(tokenId, { maxItems: maxStopTokenIds, description: 'generation ends with the first of these tokens' }),
    ),
    include_stop: flag(
      'leave the stop string, or the text of the stop token, in the text',
      requestDefaults.includeStop,
    ),
    ignore_eos: flag('keep going past the end-of-sequence token', requestDefaults.ignoreEos),
    skip_special_tokens: flag('leave special tokens out of the text', requestDefaults.skipSpecialTokens),
    add_special_tokens: flag(
      'begin prompts that are text with the special tokens of the model',
      requestDefaults.addSpecialTokens,
    ),
    truncate_prompt_tokens: Type.Optional(
      Type.Integer({ minimum: 1, description: 'keep only this many tokens at the end of a prompt' }),
    ),
    logprobs: numLogprobs('report the log probability of each new token, and this many of the likeliest tokens'),
    prompt_logprobs: numLogprobs('the same for the tokens of the prompt'),
    priority: Type.Optional(Type.Integer({ default: requestDefaults.priority, description: 'lower values go first' })),
    cache_salt: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: maxStopLength,
        description: 'computed prompts are shared only with requests of the same salt',
      }),
    ),
    stream: Type.Optional(
      Type.Boolean({ description: 'reply with server-sent events; by default if Accept is text/event-stream' }),
    ),
  },
  { additionalProperties: false, description: 'every field except the prompt is optional; null means absent' },
);

export type GenerateBody = Static<typeof generateBody>;
