import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { InvalidRequestError, messageOf, ServingError, show } from '../core/index.ts';

/** Accepts JSON bodies, and no others. */
export function useJsonBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'string' }, parseJson);
}

/** Keeps a `__proto__` in the body as an ordinary field, which the schema then rejects by name. */
async function parseJson(request: FastifyRequest, body: string | Buffer): Promise<unknown> {
  checkEncoding(request.headers);
  if (body.length === 0) throw new InvalidRequestError('the body is empty; it must be a JSON object');
  try {
    return JSON.parse(body.toString());
  } catch (error) {
    throw new InvalidRequestError(`the body is not JSON: ${messageOf(error)}`);
  }
}

/** Bodies are read as UTF-8, of which ASCII is a subset. */
const charsets = new Set(['utf-8', 'utf8', 'us-ascii']);

/** @throws {ServingError} the encoding of the body is not supported */
function checkEncoding(headers: IncomingHttpHeaders): void {
  const encoding = headers['content-encoding'] ?? 'identity';
  if (encoding.toLowerCase() !== 'identity') {
    throw unsupported(`content-encoding is ${show(encoding)}; it must be identity, or left out`);
  }
  const type = headers['content-type'] ?? '';
  const [, charset = 'utf-8'] = /;\s*charset\s*=\s*"?([^\s";]*)/i.exec(type) ?? [];
  if (!charsets.has(charset.toLowerCase())) {
    throw unsupported(`content-type is ${show(type)}; its charset must be utf-8, or left out`);
  }
}

function unsupported(message: string): ServingError {
  return new ServingError('unsupported_media_type', message);
}
