import Type, { type Static } from 'typebox';
import { defaultMaxNewTokens, greedy, requestDefaults } from '../../../core/index.ts';
import { commonFields, flag, logitBias, minNewTokens, numLogprobs, tokenId } from '../../sampling-fields.ts';

const text = Type.String({ minLength: 1 });
const tokenIds = Type.Array(tokenId, { minItems: 1 });

/** Not a union: validating one creates an error for every kind that an item is not of, and there may be 100,000 items. */
const prompt = Type.Unsafe<string | number[]>({
  type: ['string', 'array'],
  minLength: 1,
  minItems: 1,
  items: tokenId,
  description: 'a non-empty string, or a non-empty list of token ids',
});

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
    min_new_tokens: minNewTokens,
    temperature: Type.Optional(Type.Number({ minimum: 0, default: greedy.temperature, description: '0 is greedy' })),
    ...commonFields,
    logit_bias: logitBias({ propertyNames: { pattern: '^(0|[1-9][0-9]*)$' } }),
    seed: Type.Optional(Type.Integer({ description: 'the same seed gives the same tokens; by default random' })),
    include_stop: flag(
      requestDefaults.includeStop,
      'leave the stop string, or the text of the stop token, in the text',
    ),
    add_special_tokens: flag(
      requestDefaults.addSpecialTokens,
      'begin prompts that are text with the special tokens of the model',
    ),
    truncate_prompt_tokens: Type.Optional(
      Type.Integer({ minimum: 1, description: 'keep only this many tokens at the end of a prompt' }),
    ),
    logprobs: numLogprobs('report the log probability of each new token, and this many of the most likely tokens'),
    prompt_logprobs: numLogprobs('the same for the tokens of the prompt'),
    stream: Type.Optional(
      Type.Boolean({ description: 'reply with server-sent events; by default if Accept is text/event-stream' }),
    ),
  },
  { additionalProperties: false, description: 'every field except the prompt is optional; null means absent' },
);

export type GenerateBody = Static<typeof generateBody>;
