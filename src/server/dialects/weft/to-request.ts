import {
  checkWellFormed,
  defined,
  type GenerateRequest,
  greedy,
  randomSeed,
  requestDefaults,
} from '../../../core/index.ts';
import type { RequestContext } from '../../dialect.ts';
import type { GenerateBody } from './schemas.ts';

/** @throws {InvalidRequestError} text is not well-formed */
export function toRequest(body: GenerateBody, { requestId }: RequestContext): GenerateRequest {
  const {
    prompt,
    stop = [],
    bad_words: badWords = [],
    logit_bias: biases = {},
    prompt_logprobs: numPromptLogprobs,
  } = body;
  checkWellFormed('prompt', prompt);
  checkWellFormed('stop', stop);
  checkWellFormed('bad_words', badWords);
  return {
    ...requestDefaults,
    ...defined({
      n: body.n,
      addSpecialTokens: body.add_special_tokens,
      truncatePromptTokens: body.truncate_prompt_tokens,
      maxNewTokens: body.max_new_tokens,
      minNewTokens: body.min_new_tokens,
      stopTokenIds: body.stop_token_ids,
      includeStop: body.include_stop,
      ignoreEos: body.ignore_eos,
      skipSpecialTokens: body.skip_special_tokens,
      numLogprobs: body.logprobs,
      priority: body.priority,
      cacheSalt: body.cache_salt,
    }),
    id: `gen-${requestId}`,
    prompts: isList(prompt) ? prompt : [prompt],
    stop: [stop].flat(),
    badWords,
    sampling: {
      ...greedy,
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
      topK: Math.max(0, body.top_k ?? greedy.topK),
      logitBias: Object.entries(biases).map(([id, bias]) => [Number(id), bias]),
      seed: body.seed ?? randomSeed(),
    },
    reportPrompt: numPromptLogprobs !== undefined,
    numPromptLogprobs,
  };
}

/** Whether the reply has `choices`: with several answers, and with a list of prompts even if it has only one. */
export function hasChoices({ prompt, n = requestDefaults.n }: GenerateBody): boolean {
  return n > 1 || isList(prompt);
}

/** Whether a prompt is a list of prompts, not a list of token ids. */
function isList(prompt: GenerateBody['prompt']): prompt is (string | number[])[] {
  return Array.isArray(prompt) && typeof prompt[0] !== 'number';
}
