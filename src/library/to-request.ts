import { randomInt, randomUUID } from 'node:crypto';
import { type GenerateRequest, greedy, ParameterError, type Prompt, requestDefaults } from '../core/index.ts';
import type { RequestOptions } from './generate-options.ts';
import { checkOptions, checkPrompt, optionOf } from './option-rules.ts';

/** @throws {ServingError} the prompt or an option is not valid */
export function toRequest(prompt: Prompt, options: RequestOptions): GenerateRequest {
  checkPrompt(prompt);
  checkOptions(options);
  const { stop = [], logprobs, promptLogprobs } = options;
  return {
    id: randomUUID(),
    prompts: [prompt],
    n: options.n ?? requestDefaults.n,
    addSpecialTokens: options.addSpecialTokens ?? requestDefaults.addSpecialTokens,
    truncatePromptTokens: options.truncatePromptTokens,
    maxNewTokens: options.maxNewTokens,
    minNewTokens: options.minNewTokens ?? requestDefaults.minNewTokens,
    stop: [stop].flat(),
    stopTokenIds: options.stopTokenIds ?? requestDefaults.stopTokenIds,
    includeStop: options.includeStop ?? requestDefaults.includeStop,
    ignoreEos: options.ignoreEos ?? requestDefaults.ignoreEos,
    skipSpecialTokens: options.skipSpecialTokens ?? requestDefaults.skipSpecialTokens,
    badWords: options.badWords ?? requestDefaults.badWords,
    sampling: {
      temperature: options.temperature ?? greedy.temperature,
      topK: options.topK ?? greedy.topK,
      topP: options.topP ?? greedy.topP,
      minP: options.minP ?? greedy.minP,
      typicalP: options.typicalP ?? greedy.typicalP,
      repetitionPenalty: options.repetitionPenalty ?? greedy.repetitionPenalty,
      presencePenalty: options.presencePenalty ?? greedy.presencePenalty,
      frequencyPenalty: options.frequencyPenalty ?? greedy.frequencyPenalty,
      logitBias: Object.entries(options.logitBias ?? {}).map(([id, bias]) => [Number(id), bias]),
      allowedTokenIds: options.allowedTokenIds,
      seed: options.seed ?? randomInt(2 ** 47),
    },
    numLogprobs: logprobs,
    reportPrompt: promptLogprobs !== undefined,
    numPromptLogprobs: promptLogprobs,
    priority: options.priority ?? requestDefaults.priority,
    cacheSalt: options.cacheSalt,
  };
}

/** An error as the caller of `generate` knows the parameter at fault. */
export function inOptions(error: unknown): unknown {
  return error instanceof ParameterError ? error.named(optionOf(error.fault.parameter)) : error;
}
