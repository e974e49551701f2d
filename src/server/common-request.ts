import type { Static, TObject } from 'typebox';
import { checkWellFormed, defined, type GenerateRequest, requestDefaults, type SamplingParams } from '../core/index.ts';
import type { commonFields } from './sampling-fields.ts';

type CommonBody = Static<TObject<typeof commonFields>> & {
  readonly temperature?: number;
  /** By token id. */
  readonly logit_bias?: Readonly<Record<string, number>>;
};

/** A request without its prompts. */
type CommonRequest = Omit<GenerateRequest, 'id' | 'prompts'>;

/**
 * The request that {@link commonFields}, the temperature, the logit bias and the seed ask for.
 * @param seed of the random numbers
 * @param defaults of the sampling parameters
 * @throws {InvalidRequestError} text is not well-formed
 */
export function commonRequest(body: CommonBody, seed: number, defaults: SamplingParams): CommonRequest {
  const { stop = [], bad_words: badWords = [], logit_bias: biases = {} } = body;
  checkWellFormed('stop', stop);
  checkWellFormed('bad_words', badWords);
  return {
    ...requestDefaults,
    ...defined({
      stopTokenIds: body.stop_token_ids,
      ignoreEos: body.ignore_eos,
      skipSpecialTokens: body.skip_special_tokens,
      priority: body.priority,
      cacheSalt: body.cache_salt,
    }),
    stop: [stop].flat(),
    badWords,
    sampling: {
      ...defaults,
      ...defined({
        temperature: body.temperature,
        topP: body.top_p,
        minP: body.min_p,
        typicalP: body.typical_p,
        repetitionPenalty: body.repetition_penalty,
        presencePenalty: body.presence_penalty,
        frequencyPenalty: body.frequency_penalty,
        allowedTokenIds: body.allowed_token_ids,
      }),
      topK: Math.max(0, body.top_k ?? defaults.topK),
      logitBias: Object.entries(biases).map(([id, bias]) => [Number(id), bias]),
      seed,
    },
  };
}
