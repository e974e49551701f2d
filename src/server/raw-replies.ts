import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import { type ErrorCode, messageOf, ServingError, show } from '../core/index.ts';
import { errorBodyOf } from './error-body.ts';
import { requestIdOf } from './request-id.ts';

/** Replies to what is not a valid HTTP request, directly on the socket. */
export function answerClientError(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const code = codeOfClientError[error.code ?? ''] ?? 'invalid_request';
  const serving = new ServingError(code, `the request could not be read: ${messageOf(error)}`);
  socket.end(rawAnswer(serving));
}

const codeOfClientError: Readonly<Record<string, ErrorCode>> = {
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
};

/** A complete HTTP response, for a socket without an HTTP parser. The connection closes after it. */
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

/** Replies to an `Expect` header other than `100-continue`. */
export function refuseExpectation(request: IncomingMessage, response: ServerResponse): void {
  const message = `the Expect header is ${show(request.headers.expect)}; only 100-continue is supported`;
  const error = new ServingError('expectation_failed', message);
  const headers = { 'content-type': 'application/json', 'x-request-id': requestIdOf(request) };
  response.writeHead(error.status, headers).end(JSON.stringify(errorBodyOf(error)));
}
