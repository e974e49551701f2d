import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

const ids = new WeakMap<IncomingMessage, string>();

/** Printable ASCII without spaces, so that it can be logged and sent back as it is. */
const usable = /^[\x21-\x7e]{1,128}$/;

/** The client's `x-request-id` if it can be used, or else a new one. The same for every call. */
export function requestIdOf(request: IncomingMessage): string {
  const known = ids.get(request);
  if (known !== undefined) return known;
  const given = request.headers['x-request-id'];
  const id = typeof given === 'string' && usable.test(given) ? given : randomUUID();
  ids.set(request, id);
  return id;
}
