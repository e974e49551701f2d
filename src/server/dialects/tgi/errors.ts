import { type ErrorCode, ParameterError, type RequestParameter, type ServingError } from '../../../core/index.ts';
import type { ErrorFormat } from '../../dialect.ts';
import { cut, maxMessageBytes } from '../../error-body.ts';
import type { ErrorReply } from './schemas.ts';

interface Kind {
  readonly status: number;
  text(message: string): string;
}

/** TGI's types of errors. */
const kinds = {
  validation: { status: 422, text: (message) => `Input validation error: ${message}` },
  generation: { status: 424, text: (message) => `Request failed during generation: ${message}` },
  overloaded: { status: 429, text: () => 'Model is overloaded' },
  incomplete_generation: { status: 500, text: () => 'Incomplete generation' },
} as const satisfies Readonly<Record<string, Kind>>;

/** Errors that TGI does not have keep Weft's code and status. */
const kindOf: Readonly<Partial<Record<ErrorCode, keyof typeof kinds>>> = {
  invalid_request: 'validation',
  context_length_exceeded: 'validation',
  queue_full: 'overloaded',
  engine_failed: 'generation',
  internal_error: 'incomplete_generation',
};

/** TGI's names of parameters. */
const names: Readonly<Partial<Record<RequestParameter, string>>> = {
  prompts: 'inputs',
  n: 'best_of',
  truncatePromptTokens: 'truncate',
  maxNewTokens: 'max_new_tokens',
  stop: 'stop',
  numLogprobs: 'top_n_tokens',
  temperature: 'temperature',
  topK: 'top_k',
  topP: 'top_p',
  typicalP: 'typical_p',
  repetitionPenalty: 'repetition_penalty',
  frequencyPenalty: 'frequency_penalty',
  seed: 'seed',
};

export const tgiErrors: ErrorFormat = (error) => {
  const type = kindOf[error.code];
  const { status, text }: Kind = type === undefined ? { status: error.status, text: same } : kinds[type];
  const body: ErrorReply = { error: cut(text(messageOf(error)), maxMessageBytes), error_type: type ?? error.code };
  return { status, body };
};

const same = (message: string) => message;

function messageOf(error: ServingError): string {
  if (!(error instanceof ParameterError)) return error.message;
  const { parameter } = error.fault;
  return error.named(names[parameter] ?? parameter).message;
}
