import {
  checkWellFormed,
  defined,
  type GenerateRequest,
  greedy,
  randomSeed,
  requestDefaults,
} from '../../../core/index.ts';
import { commonRequest } from '../../common-request.ts';
import type { RequestContext } from '../../dialect.ts';
import type { GenerateBody } from './schemas.ts';

/** @throws {InvalidRequestError} text is not well-formed */
export function toRequest(body: GenerateBody, { requestId }: RequestContext): GenerateRequest {
  const { prompt, prompt_logprobs: numPromptLogprobs } = body;
  checkWellFormed('prompt', prompt);
  return {
    ...commonRequest(body, body.seed ?? randomSeed(), greedy),
    ...defined({
      n: body.n,
      addSpecialTokens: body.add_special_tokens,
      truncatePromptTokens: body.truncate_prompt_tokens,
      maxNewTokens: body.max_new_tokens,
      minNewTokens: body.min_new_tokens,
      includeStop: body.include_stop,
      numLogprobs: body.logprobs,
    }),
    id: `gen-${requestId}`,
    prompts: isList(prompt) ? prompt : [prompt],
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
