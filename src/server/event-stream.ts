import type { ServerResponse } from 'node:http';
import type { FastifyReply } from 'fastify';
import { type GenerationEvent, ServingError } from '../core/index.ts';
import type { ReplyFormat } from './dialect.ts';
import type { Stopwatch } from './stopwatch.ts';

export interface EventStreamOptions {
  readonly format: ReplyFormat;
  readonly stopwatch: Stopwatch;
  readonly gone: AbortSignal;
  readonly heartbeatMs: number;
}

/** Sends headers at once and events as they come. Resolves when the last event is written or the client has disconnected. */
export async function sendEvents(
  reply: FastifyReply,
  events: AsyncIterable<GenerationEvent>,
  { format, stopwatch, gone, heartbeatMs }: EventStreamOptions,
): Promise<void> {
  const { sse, raw } = reply;
  sse.sendHeaders();
  // An idle engine starts the first step in an earlier immediate of this turn, so the write does not delay it.
  setImmediate(() => raw.writableEnded || raw.flushHeaders());
  const heartbeat = setInterval(() => beat(raw), heartbeatMs).unref();
  const left = new Promise<void>((resolve) => gone.addEventListener('abort', () => resolve(), { once: true }));
  const isOver = () => gone.aborted || !sse.isConnected;
  try {
    for await (const event of events) {
      for (const message of format.messagesOf(event)) {
        if (isOver()) break;
        // If the client disconnects while its socket is full, `send` never resolves.
        await stopwatch.write(() => Promise.race([sse.send(message), left]));
      }
      if (isOver()) break;
    }
    if (!(gone.reason instanceof ServingError)) return;
    for (const message of format.messagesOf({ type: 'error', error: gone.reason })) {
      // Not awaited: if the client never reads it, the stall timeout closes the connection.
      if (sse.isConnected) void sse.send(message).catch(() => {});
    }
  } finally {
    clearInterval(heartbeat);
  }
}

/** A comment keeps proxies from closing a silent stream. It is not needed while events wait for the client. */
function beat(raw: ServerResponse): void {
  if (raw.writableLength === 0 && !raw.destroyed) raw.write(': heartbeat\n\n');
}
