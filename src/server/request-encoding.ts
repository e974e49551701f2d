import type { IncomingHttpHeaders } from 'node:http';
import { ServingError, show } from '../core/index.ts';

/** Bodies are read as UTF-8; ASCII is a part of it. */
const charsets = new Set(['utf-8', 'utf8', 'us-ascii']);

/** @throws {ServingError} the body is written in a way that is not read */
export function checkEncoding(headers: IncomingHttpHeaders): void {
  const encoding = headers['content-encoding'] ?? 'identity';
  if (encoding.toLowerCase() !== 'identity') {
    throw unsupported(`content-encoding is ${show(encoding)}; it has to be identity, or left out`);
  }
  const type = headers['content-type'] ?? '';
  const [, charset = 'utf-8'] = /;\s*charset\s*=\s*"?([^\s";]*)/i.exec(type) ?? [];
  if (!charsets.has(charset.toLowerCase())) {
    throw unsupported(`content-type is ${show(type)}; its charset has to be utf-8, or left out`);
  }
}

function unsupported(message: string): ServingError {
  return new ServingError('unsupported_media_type', message);
}
