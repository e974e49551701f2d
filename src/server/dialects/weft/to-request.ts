import { randomInt } from 'node:crypto';
import {
  type GenerateRequest,
  greedy,
  InvalidRequestError,
  type Prompt,
  requestDefaults,
} from '../../../core/index.ts';
import type { RequestContext } from '../../dialect.ts';
import type { GenerateBody } from './schemas.ts';

/** @throws {InvalidRequestError} text is not well-formed */
export function toRequest(body: GenerateBody, { requestId }: RequestContext): GenerateRequest {
  const { stop = [], bad_words: badWords = [], prompt_logprobs: numPromptLogprobs } = body;
  const stops = typeof stop === 'string' ? [stop] : stop;
  checkText('stop', stops);
  checkText('bad_words', badWords);
  return {
    id: `gen-${requestId}`,
    prompts: promptsOf(body.prompt),
    n: body.n ?? requestDefaults.n,
    addSpecialTokens: body.add_special_tokens ?? requestDefaults.addSpecialTokens,
    truncatePromptTokens: body.truncate_prompt_tokens,
    maxNewTokens: body.max_new_tokens,
    minNewTokens: body.min_new_tokens ?? requestDefaults.minNewTokens,
    stop: stops,
    stopTokenIds: body.stop_token_ids ?? requestDefaults.stopTokenIds,
    includeStop: body.include_stop ?? requestDefaults.includeStop,
    ignoreEos: body.ignore_eos ?? requestDefaults.ignoreEos,
    skipSpecialTokens: body.skip_special_tokens ?? requestDefaults.skipSpecialTokens,
    badWords,
    sampling: {
      temperature: body.temperature ?? greedy.temperature,
      topK: Math.max(0, body.top_k ?? greedy.topK),
      topP: body.top_p ?? greedy.topP,
      minP: body.min_p ?? greedy.minP,
      typicalP: body.typical_p ?? greedy.typicalP,
      repetitionPenalty: body.repetition_penalty ?? greedy.repetitionPenalty,
      presencePenalty: body.presence_penalty ?? greedy.presencePenalty,
      frequencyPenalty: body.frequency_penalty ?? greedy.frequencyPenalty,
      logitBias: Object.entries(body.logit_bias ?? {}).map(([id, bias]) => [Number(id), bias]),
      allowedTokenIds: body.allowed_token_ids,
      seed: body.seed ?? randomInt(2 ** 47),
    },
    numLogprobs: body.logprobs,
    reportPrompt: numPromptLogprobs !== undefined,
    numPromptLogprobs,
    priority: body.priority ?? requestDefaults.priority,
    cacheSalt: body.cache_salt,
  };
}

/** Whether the reply has `choices`: with several answers, and with a list of prompts even if it has only one. */
export function hasChoices({ prompt, n = requestDefaults.n }: GenerateBody): boolean {
  return n > 1 || isList(prompt);
}

function promptsOf(prompt: GenerateBody['prompt']): readonly Prompt[] {
  return isList(prompt) ? prompt : [prompt];
}

/** Whether a prompt is a list of prompts, not a list of token ids. */
function isList(prompt: GenerateBody['prompt']): prompt is (string | number[])[] {
  return Array.isArray(prompt) && typeof prompt[0] !== 'number';
}

function checkText(field: string, texts: readonly string[]): void {
  if (texts.every((text) => text.isWellFormed())) return;
  throw new InvalidRequestError(`${field} contains half of a surrogate pair; it must be well-formed text`, field);
}
