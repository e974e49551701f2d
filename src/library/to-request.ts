import { randomUUID } from 'node:crypto';
import {
  defined,
  type GenerateRequest,
  greedy,
  ParameterError,
  type Prompt,
  randomSeed,
  requestDefaults,
} from '../core/index.ts';
import type { RequestOptions } from './generate-options.ts';
import { checkOptions, checkPrompt, optionOf } from './option-rules.ts';

/** @throws {ServingError} the prompt or an option is not valid */
export function toRequest(prompt: Prompt, options: RequestOptions): GenerateRequest {
  checkPrompt(prompt);
  checkOptions(options);
  const { stop = [], logitBias = {}, logprobs, promptLogprobs, seed = randomSeed() } = options;
  return {
    ...requestDefaults,
    ...defined({
      n: options.n,
      addSpecialTokens: options.addSpecialTokens,
      truncatePromptTokens: options.truncatePromptTokens,
      maxNewTokens: options.maxNewTokens,
      minNewTokens: options.minNewTokens,
      stopTokenIds: options.stopTokenIds,
      includeStop: options.includeStop,
      ignoreEos: options.ignoreEos,
      skipSpecialTokens: options.skipSpecialTokens,
      badWords: options.badWords,
      priority: options.priority,
      cacheSalt: options.cacheSalt,
    }),
    id: randomUUID(),
    prompts: [prompt],
    stop: [stop].flat(),
    sampling: {
      ...greedy,
      ...defined({
        temperature: options.temperature,
        topK: options.topK,
        topP: options.topP,
        minP: options.minP,
        typicalP: options.typicalP,
        repetitionPenalty: options.repetitionPenalty,
        presencePenalty: options.presencePenalty,
        frequencyPenalty: options.frequencyPenalty,
        allowedTokenIds: options.allowedTokenIds,
      }),
      logitBias: Object.entries(logitBias).map(([id, bias]) => [Number(id), bias]),
      seed,
    },
    numLogprobs: logprobs,
    reportPrompt: promptLogprobs !== undefined,
    numPromptLogprobs: promptLogprobs,
  };
}

/** An error as the caller of `generate` knows the parameter at fault. */
export function inOptions(error: unknown): unknown {
  return error instanceof ParameterError ? error.named(optionOf(error.fault.parameter)) : error;
}
