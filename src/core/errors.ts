import type { GenerateRequest, SamplingParams } from './request.ts';

/** Every error that a client can get: its code, HTTP status and type, as OpenAI names types. The only such table. */
export const errorTable = {
  invalid_request: { status: 400, type: 'invalid_request_error' },
  context_length_exceeded: { status: 400, type: 'invalid_request_error' },
  half_closed: { status: 400, type: 'invalid_request_error' },
  client_too_slow: { status: 400, type: 'invalid_request_error' },
  host_not_allowed: { status: 403, type: 'invalid_request_error' },
  not_found: { status: 404, type: 'invalid_request_error' },
  model_not_found: { status: 404, type: 'invalid_request_error' },
  request_timeout: { status: 408, type: 'invalid_request_error' },
  body_too_large: { status: 413, type: 'invalid_request_error' },
  unsupported_media_type: { status: 415, type: 'invalid_request_error' },
  expectation_failed: { status: 417, type: 'invalid_request_error' },
  headers_too_large: { status: 431, type: 'invalid_request_error' },
  queue_full: { status: 429, type: 'rate_limit_error' },
  too_many_pipelined: { status: 429, type: 'rate_limit_error' },
  unavailable: { status: 503, type: 'unavailable_error' },
  too_many_connections: { status: 503, type: 'unavailable_error' },
  engine_failed: { status: 500, type: 'server_error' },
  internal_error: { status: 500, type: 'server_error' },
} as const;

export type ErrorCode = keyof typeof errorTable;
export type ErrorType = (typeof errorTable)[ErrorCode]['type'];

/** An error to be reported to a client. Its status and type come from {@link errorTable}. */
export class ServingError extends Error {
  readonly code: ErrorCode;
  /** The parameter at fault, if there is one. */
  readonly param: string | undefined;
  /** When to try again, if waiting helps. */
  readonly retryAfterSeconds: number | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: { param?: string; retryAfterSeconds?: number; cause?: unknown } = {},
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.name = new.target.name;
    this.code = code;
    this.param = options.param;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }

  get status(): number {
    return errorTable[this.code].status;
  }

  get type(): ErrorType {
    return errorTable[this.code].type;
  }
}

/** A request is not valid. */
export class InvalidRequestError extends ServingError {
  constructor(message: string, param?: string) {
    super('invalid_request', message, param === undefined ? {} : { param });
  }
}

/** What a client can set in a request. */
export type RequestParameter = Exclude<keyof GenerateRequest, 'id' | 'sampling'> | keyof SamplingParams;

/** What is wrong with a parameter. */
export interface ParameterFault {
  readonly parameter: RequestParameter;
  /** The indices of the element at fault, where the parameter is a list or a list of lists. */
  readonly path?: readonly number[];
  /** A predicate, such as "is 7; at most 5 are possible". */
  readonly problem: string;
}

/** A parameter of a request is at fault. The error uses Weft's own name for it; a dialect replaces that with the name of its field. */
export class ParameterError extends ServingError {
  readonly fault: ParameterFault;

  constructor(code: ErrorCode, fault: ParameterFault) {
    super(code, describeFault(fault, fault.parameter), { param: fault.parameter });
    this.fault = fault;
  }

  /**
   * The same error for a client that knows the parameter by another name.
   * @param options the place of the element at fault in the client's own value, and what the message calls the parameter
   */
  named(
    param: string,
    {
      path = this.fault.path ?? [],
      subject = param,
    }: { readonly path?: readonly number[]; readonly subject?: string } = {},
  ): ServingError {
    return new ServingError(this.code, describeFault({ ...this.fault, path }, subject), { param });
  }
}

function describeFault({ path = [], problem }: ParameterFault, name: string): string {
  return `${name}${path.map((index) => `[${index}]`).join('')} ${problem}`;
}

/** A parameter has a value that the model cannot work with. */
export class InvalidParameterError extends ParameterError {
  constructor(fault: ParameterFault) {
    super('invalid_request', fault);
  }
}

/** The prompt and the new tokens do not fit into the context together. */
export class ContextLengthError extends ParameterError {
  constructor(fault: ParameterFault) {
    super('context_length_exceeded', fault);
  }
}

const retryAfterSeconds = 1;

/** The queue has no room for the answers that a request asks for. */
export class QueueFullError extends ServingError {
  constructor({ numWaiting, numComing, limit }: Readonly<Record<'numWaiting' | 'numComing' | 'limit', number>>) {
    const message = `${numWaiting} answers are waiting, and the queue takes ${limit}; there is no room for ${numComing} more; retry in ${retryAfterSeconds} s`;
    super('queue_full', message, { retryAfterSeconds });
  }
}

/** Too much work of other clients waits for a thread. */
export class BusyError extends ServingError {
  /** @param problem what waits, and how much of it may */
  constructor(problem: string) {
    super('queue_full', `${problem}; retry in ${retryAfterSeconds} s`, { retryAfterSeconds });
  }
}

/** A connection has too many unanswered requests. */
export class TooManyPipelinedError extends ServingError {
  constructor(limit: number) {
    const message = `this connection already has ${limit} unanswered requests; retry in ${retryAfterSeconds} s`;
    super('too_many_pipelined', message, { retryAfterSeconds });
  }
}

/** Too many connections are open. */
export class TooManyConnectionsError extends ServingError {
  constructor(limit: number) {
    super('too_many_connections', `${limit} connections are already open; retry in ${retryAfterSeconds} s`, {
      retryAfterSeconds,
    });
  }
}

/** The client has closed its side of the connection. The server takes this as a disconnect. */
export class HalfClosedError extends ServingError {
  constructor() {
    super(
      'half_closed',
      'the client closed its sending side before the reply was complete; it must stay open until then',
    );
  }
}

/** The client reads so slowly that its buffer of events is full. */
export class ClientTooSlowError extends ServingError {
  constructor(limit: number) {
    super('client_too_slow', `${limit} events were waiting to be read; generation was stopped`);
  }
}

/** The server is starting up or shutting down. */
export class UnavailableError extends ServingError {
  constructor(message = 'the engine is shutting down and accepts no new requests') {
    super('unavailable', message);
  }
}

/** The engine could not compute a token of this request. The log has the cause; the engine keeps running. */
export class EngineError extends ServingError {
  /** @param cause not shown to clients */
  constructor(message: string, cause?: unknown) {
    super('engine_failed', message, cause === undefined ? {} : { cause });
  }
}

/** The parameters of a request leave no token that can be drawn. The engine is well. */
export class NoTokenError extends ServingError {
  constructor() {
    super('invalid_request', 'no token can be drawn: every token is banned, not allowed or impossible');
  }
}

/** A bug in this program. The log has the details; the client learns only that there was one. */
export class InternalError extends ServingError {
  constructor() {
    super('internal_error', 'an internal error occurred');
  }
}

/**
 * How a {@link UserError} can be solved: by changing one of these settings, or by an action. The message says the same in words;
 * the command line adds the flags or the command.
 */
export type Remedy =
  | { readonly settings: readonly ('maxBatchSize' | 'maxModelLen' | 'cacheDir')[] }
  | { readonly action: 'pull' };

/** A problem that the person who started the program has to solve. The message is one line: what is wrong and what to do. */
export class UserError extends Error {
  override readonly name: string = 'UserError';
  readonly remedy: Remedy | undefined;

  constructor(message: string, remedy?: Remedy) {
    super(message);
    this.remedy = remedy;
  }
}

/** A model cannot be loaded: it is missing, broken, unsupported, too large or out of reach. */
export class ModelError extends UserError {
  override readonly name: string = 'ModelError';
}

/** The message of whatever was thrown, on one line. */
export function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/\s*\n\s*/g, ' ');
}

/** A value for a message: as JSON, cut to a readable length. */
export function show(value: unknown, maxLength = 60): string {
  const text = written(typeof value === 'string' ? value.slice(0, maxLength + 1) : value);
  return text.length > maxLength ? `${text.slice(0, maxLength).toWellFormed()}…` : text;
}

function written(value: unknown): string {
  if (typeof value === 'number') return String(value);
  if (typeof value === 'bigint') return `${value}n`;
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return 'a value that cannot be shown';
  }
}
