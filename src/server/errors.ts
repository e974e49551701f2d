import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import { type ErrorCode, errorTable, InternalError, ServingError, show, UnavailableError } from '../core/index.ts';
import type { ErrorFormat } from './dialect.ts';

type ErrorHandler = (error: FastifyError | Error, request: FastifyRequest, reply: FastifyReply) => unknown;

/**
 * Replies to errors of Weft's routes in the format of a dialect. Any other error, such as one that a hook of the application throws, goes
 * to the error handler of the surrounding scope.
 */
export function errorHandler(format: ErrorFormat): ErrorHandler {
  return async (error, request, reply) => {
    const serving = toServingError(error, request);
    if (serving === undefined) throw error;
    return sendError(format, serving, { request, reply });
  };
}

/** Replies to every error. Bugs are logged, and the client learns nothing about them. */
export function lastErrorHandler(format: ErrorFormat): ErrorHandler {
  return (error, request, reply) => {
    const serving = toServingError(error, request) ?? ofFastify(error) ?? new InternalError();
    // The cause of a serving error is logged where it is known.
    if (serving.status >= 500 && !(error instanceof ServingError)) request.log.error(error);
    sendError(format, serving, { request, reply });
  };
}

export function routeNotFound(request: FastifyRequest): ServingError {
  return new ServingError('not_found', `there is no route ${request.method} ${show(request.url)}; see /openapi.json`);
}

function sendError(
  format: ErrorFormat,
  error: ServingError,
  { request, reply }: { readonly request: FastifyRequest; readonly reply: FastifyReply },
): FastifyReply {
  if (error.retryAfterSeconds !== undefined) reply.header('retry-after', error.retryAfterSeconds);
  if (!request.raw.complete) {
    // Read and drop the rest of the body: if the connection closed while the client was still sending, it would not see the reply.
    reply.removeHeader('connection');
    request.raw.resume();
  }
  if (error instanceof UnavailableError) reply.header('connection', 'close');
  const { status, body } = format(error, request.body);
  return reply.code(status).type('application/json').send(body);
}

/** An error of Weft's own code or of reading the body. */
function toServingError(error: FastifyError | Error, request: FastifyRequest): ServingError | undefined {
  if (error instanceof ServingError) return error;
  if (!isBodyError(error)) return undefined;
  if (error.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    const given = show(request.headers['content-type'] ?? 'none');
    return new ServingError('unsupported_media_type', `content-type is ${given}; it must be application/json`);
  }
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    const limit = request.routeOptions.bodyLimit;
    return new ServingError('body_too_large', `the body is larger than the ${limit} bytes that are allowed`);
  }
  return ofFastify(error);
}

/** An error that Fastify blames on the client, or with which it refuses requests for now. */
function ofFastify(error: FastifyError | Error): ServingError | undefined {
  const status = 'statusCode' in error ? (error.statusCode ?? 500) : 500;
  const isReported = (status >= 400 && status < 500) || status === errorTable.unavailable.status;
  return isReported ? new ServingError(codeOfStatus(status), error.message) : undefined;
}

function codeOfStatus(status: number): ErrorCode {
  const codes = Object.keys(errorTable) as ErrorCode[];
  return codes.find((code) => errorTable[code].status === status) ?? 'invalid_request';
}

function isBodyError(error: unknown): error is FastifyError {
  return (
    error instanceof Error && 'code' in error && typeof error.code === 'string' && error.code.startsWith('FST_ERR_CTP_')
  );
}
