import { ParameterError, type RequestParameter, type ServingError } from '../../../core/index.ts';
import type { ErrorFormat } from '../../dialect.ts';
import { errorBodyOf } from '../../error-body.ts';
import { snakeCase } from '../../snake-case.ts';

/** Errors of routes that generate nothing. */
export const openaiErrors: ErrorFormat = (error) => ({ status: error.status, body: errorBodyOf(error) });

/** Errors of `POST /v1/completions`. */
export const completionErrors: ErrorFormat = (error, body) => openaiErrors(named(error, namesInCompletion, body));

/** Errors of `POST /v1/chat/completions`. */
export const chatErrors: ErrorFormat = (error, body) => openaiErrors(named(error, namesInChat, body));

type Names = Readonly<Partial<Record<RequestParameter, string>>>;

/** Parameters whose field has another name, where both routes agree. */
const ownNames = {
  minNewTokens: 'min_tokens',
  includeStop: 'include_stop_str_in_output',
  numPromptLogprobs: 'prompt_logprobs',
  reportPrompt: 'return_token_ids',
} as const satisfies Names;

function namesInCompletion(body: object): Names {
  const n = has(body, 'best_of') ? 'best_of' : 'n';
  // With echo, those of the prompt are asked for by the same field as those of the answers.
  const numPromptLogprobs = has(body, 'prompt_logprobs') ? 'prompt_logprobs' : 'logprobs';
  return { ...ownNames, prompts: 'prompt', n, maxNewTokens: 'max_tokens', numLogprobs: 'logprobs', numPromptLogprobs };
}

function namesInChat(body: object): Names {
  const maxNewTokens =
    has(body, 'max_tokens') && !has(body, 'max_completion_tokens') ? 'max_tokens' : 'max_completion_tokens';
  return { ...ownNames, prompts: 'messages', maxNewTokens, numLogprobs: 'top_logprobs' };
}

function has(body: object, field: string): boolean {
  return (body as Readonly<Record<string, unknown>>)[field] !== undefined;
}

function named(error: ServingError, namesIn: (body: object) => Names, body: unknown): ServingError {
  if (!(error instanceof ParameterError)) return error;
  const sent = typeof body === 'object' && body !== null ? body : {};
  const { parameter, path = [] } = error.fault;
  const name = namesIn(sent)[parameter] ?? snakeCase(parameter);
  if (parameter !== 'prompts') return error.named(name);
  // The prompt of a chat may be empty, or too long, where its messages are not.
  if (name === 'messages') return error.named(name, { subject: 'the prompt made of messages', path: [] });
  return error.named(name, { path: pathIn(sent, path) });
}

/** Where the element at fault is in `prompt`. A path leaves out the only prompt of a request. */
function pathIn(body: object, path: readonly number[]): readonly number[] {
  const { prompt } = body as { readonly prompt?: unknown };
  if (!Array.isArray(prompt)) return [];
  return prompt.length === 1 && typeof prompt[0] !== 'number' ? [0, ...path] : path;
}
