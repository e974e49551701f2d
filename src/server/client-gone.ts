import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { HalfClosedError } from '../core/index.ts';

/** The unfinished replies of each connection. */
const unfinished = new WeakMap<Socket, Set<AbortController>>();

/**
 * Aborts when the client disconnects before its reply is complete. This depends on the connection and not only on the response:
 * of several pipelined requests, only the response whose turn it is would notice. (The `close` event of a request comes when its body
 * has been read.)
 *
 * If the client may only have closed its sending side, the reason is the {@link HalfClosedError} to reply with.
 */
export function clientGone({ socket }: IncomingMessage, response: ServerResponse): AbortSignal {
  const gone = new AbortController();
  const replies = repliesOf(socket);
  replies.add(gone);
  response.once('close', () => {
    replies.delete(gone);
    // With HTTP/2, `writableFinished` is true for a reply that was never ended.
    if (!response.writableEnded || !response.writableFinished) gone.abort();
  });
  if (socket.destroyed) gone.abort();
  else if (socket.readableEnded) gone.abort(halfClosed(socket));
  return gone.signal;
}

/** One set of listeners per connection, however many requests it carries. */
function repliesOf(socket: Socket): Set<AbortController> {
  const known = unfinished.get(socket);
  if (known !== undefined) return known;
  const replies = new Set<AbortController>();
  unfinished.set(socket, replies);
  socket.once('end', () => {
    for (const gone of replies) gone.abort(halfClosed(socket));
  });
  socket.once('close', () => {
    for (const gone of replies) gone.abort();
  });
  return replies;
}

/** Servers that do not allow half-open connections close their own side too; then no reply can be sent. */
function halfClosed(socket: Socket): HalfClosedError | undefined {
  return socket.writable ? new HalfClosedError() : undefined;
}
