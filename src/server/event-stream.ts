import type { ServerResponse } from 'node:http';
import type { FastifyReply } from 'fastify';
import { type GenerationEvent, ServingError } from '../core/index.ts';
import { errorBodyOf } from './errors.ts';
import { type Answer, doneData } from './reply.ts';
import type { DoneData, ErrorBody, TokenData } from './schemas.ts';

export interface EventStreamOptions {
  readonly gone: AbortSignal;
  readonly heartbeatMs: number;
}

/** Sends events as they come, and its headers at once. Resolves when the last one is written, or the client has left. */
export async function sendEvents(
  reply: FastifyReply,
  events: AsyncIterable<GenerationEvent>,
  { gone, heartbeatMs, ...answer }: Answer & EventStreamOptions,
): Promise<void> {
  const { sse, raw } = reply;
  sse.sendHeaders();
  // An idle engine starts the first step in an earlier immediate of this turn: the write does not delay it.
  setImmediate(() => raw.writableEnded || raw.flushHeaders());
  const heartbeat = setInterval(() => beat(raw), heartbeatMs).unref();
  const left = new Promise<void>((resolve) => gone.addEventListener('abort', () => resolve(), { once: true }));
  try {
    for await (const event of events) {
      if (gone.aborted || !sse.isConnected) break;
      // The plugin's send waits for ever if the client leaves while its socket is full.
      await answer.stopwatch.write(() => Promise.race([sse.send(sseOf(event, answer)), left]));
    }
    // Not waited for: a client that never reads it is cut by the stall timeout.
    if (gone.reason instanceof ServingError && sse.isConnected)
      void sse.send(errorMessage(gone.reason)).catch(() => {});
  } finally {
    clearInterval(heartbeat);
  }
}

/** A comment keeps proxies from closing a silent stream. Where events wait for the client, they do that. */
function beat(raw: ServerResponse): void {
  if (raw.writableLength === 0 && !raw.destroyed) raw.write(': heartbeat\n\n');
}

interface SseMessage {
  readonly event: string;
  readonly data: TokenData | DoneData | ErrorBody;
}

function sseOf(event: GenerationEvent, answer: Answer): SseMessage {
  switch (event.type) {
    case 'token':
      return { event: 'token', data: { index: event.index, token_id: event.tokenId, text: event.text } };
    case 'finished':
      return { event: 'done', data: doneData(event, answer) };
    case 'error':
      return errorMessage(event.error);
  }
}

function errorMessage(error: ServingError): SseMessage {
  return { event: 'error', data: errorBodyOf(error) };
}
