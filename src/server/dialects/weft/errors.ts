import { ParameterError, type RequestParameter } from '../../../core/index.ts';
import type { ErrorFormat } from '../../dialect.ts';
import { errorBodyOf } from '../../error-body.ts';
import type { GenerateBody } from './schemas.ts';

/** The field of each parameter. */
const fields: Readonly<Record<RequestParameter, keyof GenerateBody>> = {
  prompts: 'prompt',
  n: 'n',
  addSpecialTokens: 'add_special_tokens',
  truncatePromptTokens: 'truncate_prompt_tokens',
  maxNewTokens: 'max_new_tokens',
  minNewTokens: 'min_new_tokens',
  stop: 'stop',
  stopTokenIds: 'stop_token_ids',
  includeStop: 'include_stop',
  ignoreEos: 'ignore_eos',
  skipSpecialTokens: 'skip_special_tokens',
  badWords: 'bad_words',
  numLogprobs: 'logprobs',
  reportPrompt: 'prompt_logprobs',
  numPromptLogprobs: 'prompt_logprobs',
  priority: 'priority',
  cacheSalt: 'cache_salt',
  temperature: 'temperature',
  topK: 'top_k',
  topP: 'top_p',
  minP: 'min_p',
  typicalP: 'typical_p',
  repetitionPenalty: 'repetition_penalty',
  presencePenalty: 'presence_penalty',
  frequencyPenalty: 'frequency_penalty',
  logitBias: 'logit_bias',
  allowedTokenIds: 'allowed_token_ids',
  seed: 'seed',
};

export const weftErrors: ErrorFormat = (error) => ({
  status: error.status,
  body: errorBodyOf(error instanceof ParameterError ? error.named(fields[error.fault.parameter]) : error),
});
