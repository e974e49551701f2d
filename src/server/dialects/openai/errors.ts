import { ParameterError, type RequestParameter, ServingError } from '../../../core/index.ts';
import type { ErrorFormat } from '../../dialect.ts';
import { errorBodyOf } from '../../error-body.ts';

/** Errors of routes that generate nothing. */
export const openaiErrors: ErrorFormat = (error) => ({ status: error.status, body: errorBodyOf(error) });

/** Errors of `POST /v1/completions`. */
export const completionErrors: ErrorFormat = (error, body) => openaiErrors(named(error, nameInCompletion, body));

/** Errors of `POST /v1/chat/completions`. */
export const chatErrors: ErrorFormat = (error, body) => openaiErrors(named(error, nameInChat, body));

/** The field of each parameter, where both routes agree. */
const fields = {
  addSpecialTokens: 'add_special_tokens',
  truncatePromptTokens: 'truncate_prompt_tokens',
  minNewTokens: 'min_tokens',
  stop: 'stop',
  stopTokenIds: 'stop_token_ids',
  includeStop: 'include_stop_str_in_output',
  ignoreEos: 'ignore_eos',
  skipSpecialTokens: 'skip_special_tokens',
  badWords: 'bad_words',
  numPromptLogprobs: 'prompt_logprobs',
  reportPrompt: 'return_token_ids',
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
} as const satisfies Partial<Record<RequestParameter, string>>;

type Fields = Readonly<Record<RequestParameter, string>>;

function nameInCompletion(body: object): Fields {
  const n = has(body, 'best_of') ? 'best_of' : 'n';
  return { ...fields, prompts: 'prompt', n, maxNewTokens: 'max_tokens', numLogprobs: 'logprobs' };
}

function nameInChat(body: object): Fields {
  const maxNewTokens =
    has(body, 'max_tokens') && !has(body, 'max_completion_tokens') ? 'max_tokens' : 'max_completion_tokens';
  return { ...fields, prompts: 'messages', n: 'n', maxNewTokens, numLogprobs: 'top_logprobs' };
}

function has(body: object, field: string): boolean {
  return (body as Readonly<Record<string, unknown>>)[field] !== undefined;
}

function named(error: ServingError, namesIn: (body: object) => Fields, body: unknown): ServingError {
  if (!(error instanceof ParameterError)) return error;
  const sent = typeof body === 'object' && body !== null ? body : {};
  const { parameter, path = [], problem } = error.fault;
  const name = namesIn(sent)[parameter];
  const place = pathIn(sent, parameter, path).map((index) => `[${index}]`);
  return new ServingError(error.code, `${name}${place.join('')} ${problem}`, { param: name });
}

/** Where the element at fault is in the field. A path leaves out the only prompt of a request, and chats have no prompts. */
function pathIn(body: object, parameter: RequestParameter, path: readonly number[]): readonly number[] {
  if (parameter !== 'prompts') return path;
  const { prompt } = body as { readonly prompt?: unknown };
  if (!Array.isArray(prompt)) return [];
  return prompt.length === 1 && typeof prompt[0] !== 'number' ? [0, ...path] : path;
}
