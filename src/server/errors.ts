import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import {
  type ErrorCode,
  errorTable,
  InternalError,
  InvalidRequestError,
  messageOf,
  ServingError,
  show,
  UnavailableError,
} from '../core/index.ts';
import type { ErrorBody } from './schemas.ts';
import { toInvalidRequest } from './validation.ts';

export function errorBodyOf(error: ServingError): ErrorBody {
  const { message, type, code, param } = error;
  return {
    error: {
      message: cut(message, maxMessageBytes),
      type,
      param: param === undefined ? null : cut(param, maxParamBytes),
      code,
    },
  };
}

/** What others' messages quote, a URL say, may be of any length. */
const maxMessageBytes = 1500;
const maxParamBytes = 200;

function cut(text: string, maxBytes: number): string {
  let end = Math.min(text.length, maxBytes);
  while (Buffer.byteLength(JSON.stringify(text.slice(0, end))) > maxBytes) end = Math.floor(end * 0.9);
  return end < text.length ? `${text.slice(0, end)}…` : text;
}

/** Answers with an error in the one shape that all of them have. */
export function sendError(error: FastifyError | Error, request: FastifyRequest, reply: FastifyReply): void {
  const serving = toServingError(error, request);
  // Serving errors are logged where their cause is known.
  if (serving.status >= 500 && !(error instanceof ServingError)) request.log.error(error);
  if (serving.retryAfterSeconds !== undefined) reply.header('retry-after', serving.retryAfterSeconds);
  if (!request.raw.complete) {
    // Closed on while it still sends, a client would see a broken connection instead of its answer: what is left is read and dropped.
    reply.removeHeader('connection');
    request.raw.resume();
  }
  if (serving instanceof UnavailableError) reply.header('connection', 'close');
  reply.code(serving.status).type('application/json').send(errorBodyOf(serving));
}

export function routeNotFound(request: FastifyRequest): ServingError {
  return new ServingError(
    'not_found',
    `there is no ${request.method} ${show(request.url)}; /openapi.json lists what there is`,
  );
}

/** Answers what is not even HTTP, straight to its socket. */
export function answerClientError(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const code = codeOfClientError[error.code ?? ''] ?? 'invalid_request';
  const serving = new ServingError(code, `the request could not be read: ${messageOf(error)}`);
  socket.end(rawAnswer(serving));
}

/** The whole of an answer that HTTP is not there to write; its connection is closed behind it. */
export function rawAnswer(error: ServingError): string {
  const body = JSON.stringify(errorBodyOf(error));
  const head = [
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
    ...(error.retryAfterSeconds === undefined ? [] : [`retry-after: ${error.retryAfterSeconds}`]),
    'connection: close',
  ];
  return `${head.join('\r\n')}\r\n\r\n${body}`;
}

/** Answers an `Expect` header other than `100-continue`. */
export function refuseExpectation(request: IncomingMessage, response: ServerResponse): void {
  const message = `the header expect is ${show(request.headers.expect)}; only 100-continue can be expected`;
  const error = new ServingError('expectation_failed', message);
  response.writeHead(error.status, { 'content-type': 'application/json' }).end(JSON.stringify(errorBodyOf(error)));
}

const codeOfClientError: Readonly<Record<string, ErrorCode>> = {
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
};

/** What was thrown on the way, as something that a client may be told. */
function toServingError(error: FastifyError | Error, request: FastifyRequest): ServingError {
  if (error instanceof ServingError) return error;
  if (!('statusCode' in error)) return new InternalError();
  if (error.validation !== undefined) return toInvalidRequest(error.validation);
  if (error.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    const given = show(request.headers['content-type'] ?? 'none');
    return new ServingError('unsupported_media_type', `content-type is ${given}; it has to be application/json`);
  }
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    const limit = request.routeOptions.bodyLimit;
    return new ServingError(
      'body_too_large',
      `the body is larger than the ${limit} bytes that are taken (--max-body-bytes)`,
    );
  }
  const { statusCode = 500 } = error;
  const isTheirs = (statusCode >= 400 && statusCode < 500) || statusCode === errorTable.unavailable.status;
  if (!isTheirs) return new InternalError();
  const code = codeOfStatus(statusCode);
  return code === 'invalid_request' ? new InvalidRequestError(error.message) : new ServingError(code, error.message);
}

function codeOfStatus(status: number): ErrorCode {
  const codes = Object.keys(errorTable) as ErrorCode[];
  return codes.find((code) => errorTable[code].status === status) ?? 'invalid_request';
}
