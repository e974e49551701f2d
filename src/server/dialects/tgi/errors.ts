import { type ErrorCode, ParameterError, type RequestParameter, type ServingError } from '../../../core/index.ts';
import type { ErrorFormat } from '../../dialect.ts';
import { cut, maxMessageBytes } from '../../error-body.ts';
import { snakeCase } from '../../snake-case.ts';
import type { ErrorReply, Parameters } from './schemas.ts';

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

/** Parameters that TGI has under another name. */
const ownNames: Readonly<Partial<Record<RequestParameter, keyof Parameters>>> = {
  n: 'best_of',
  truncatePromptTokens: 'truncate',
  numLogprobs: 'top_n_tokens',
  numPromptLogprobs: 'decoder_input_details',
  reportPrompt: 'decoder_input_details',
};

function fieldOf(parameter: RequestParameter): string {
  return parameter === 'prompts' ? 'inputs' : `parameters.${ownNames[parameter] ?? snakeCase(parameter)}`;
}

export const tgiErrors: ErrorFormat = (error) => {
  const type = kindOf[error.code];
  const { status, text }: Kind = type === undefined ? { status: error.status, text: same } : kinds[type];
  const body: ErrorReply = { error: cut(text(messageOf(error)), maxMessageBytes), error_type: type ?? error.code };
  return { status, body };
};

const same = (message: string) => message;

function messageOf(error: ServingError): string {
  return error instanceof ParameterError ? error.named(fieldOf(error.fault.parameter)).message : error.message;
}
