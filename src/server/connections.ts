import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyBaseLogger } from 'fastify';
import { HalfClosedError, TooManyConnectionsError, TooManyPipelinedError } from '../core/index.ts';
import { rawAnswer } from './errors.ts';
import { SendProgress } from './send-progress.ts';

export interface ConnectionsOptions {
  readonly maxConnections: number;
  /** Unanswered requests of one connection. */
  readonly maxPipelinedRequests: number;
  /** Longest that a client may take nothing of what waits for it. */
  readonly stallTimeoutMs: number;
  readonly log: FastifyBaseLogger;
}

/** A request and its answer, under way on a connection. */
interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly gone: AbortController;
  /** As many requests as allowed were unanswered when it came. */
  readonly isExcess: boolean;
}

/** Refused connections that may stay open until their clients have read why; further ones are closed without an answer. */
export const maxRefusedFor = (maxConnections: number) => Math.min(64, Math.ceil(maxConnections / 4));

/** The longest between two looks at the connections. */
const maxLookIntervalMs = 5000;

/**
 * Who is connected, and which of their requests are under way: to notice that a client has left or has stopped reading, to bound
 * what clients hold, and to close without cutting anybody.
 */
export class Connections {
  readonly #options: ConnectionsOptions;
  /** Of each connection that HTTP has been given. */
  readonly #exchanges = new Map<Socket, Set<Exchange>>();
  /** Of these, and of those that were refused and are not closed yet. */
  readonly #progress = new Map<Socket, SendProgress>();
  readonly #exchangeOf = new WeakMap<IncomingMessage, Exchange>();
  #numRefused = 0;
  #isClosing = false;

  constructor(server: Server, options: ConnectionsOptions) {
    this.#options = options;
    // Otherwise a client that has closed its side would be hung up on without an answer.
    Object.assign(server, { httpAllowHalfOpen: true });
    server.maxConnections = options.maxConnections + maxRefusedFor(options.maxConnections);
    server.on('drop', () => {
      this.#numRefused++;
    });
    const listeners = server.listeners('connection');
    server.removeAllListeners('connection');
    server.on('connection', (socket) => {
      this.#watch(socket);
      if (this.#exchanges.size >= options.maxConnections) this.#refuse(socket);
      else {
        this.#track(socket);
        for (const listener of listeners) Reflect.apply(listener, server, [socket]);
      }
    });
    server.prependListener('request', (request, response) => this.#begin(request, response));
    const lookIntervalMs = Math.min(maxLookIntervalMs, Math.ceil(options.stallTimeoutMs / 4));
    const maxLooks = Math.ceil(options.stallTimeoutMs / lookIntervalMs);
    let timer: NodeJS.Timeout | undefined;
    server.on('listening', () => {
      timer = setInterval(() => this.#look(maxLooks), lookIntervalMs).unref();
    });
    server.on('close', () => clearInterval(timer));
  }

  /**
   * Aborts when the client leaves before its answer is complete. The connection tells, not the answer: of several requests sent at
   * once, only the answer whose turn it is would notice. (A request's own `close` comes when its body has been read.)
   * If the client has closed only its side, as far as anyone can tell, the reason is the {@link HalfClosedError} to answer with.
   */
  clientGone(request: IncomingMessage): AbortSignal {
    // What was injected came over no connection, and stays.
    return (this.#exchangeOf.get(request)?.gone ?? new AbortController()).signal;
  }

  /** @throws {TooManyPipelinedError} as many requests of its connection as allowed were unanswered when it came */
  checkPipelining(request: IncomingMessage): void {
    if (this.#exchangeOf.get(request)?.isExcess) throw new TooManyPipelinedError(this.#options.maxPipelinedRequests);
  }

  /** Ends every connection without an accepted request at once, the others as soon as their answers are written. */
  close(): void {
    this.#isClosing = true;
    for (const socket of this.#progress.keys()) this.#closeIfQuiet(socket);
  }

  /** Cuts every connection. */
  cut(): void {
    for (const socket of this.#progress.keys()) socket.destroy();
  }

  #watch(socket: Socket): void {
    this.#progress.set(socket, new SendProgress());
    socket.once('close', () => this.#progress.delete(socket));
  }

  #track(socket: Socket): void {
    const exchanges = new Set<Exchange>();
    this.#exchanges.set(socket, exchanges);
    if (this.#isClosing) socket.destroySoon();
    socket.once('end', () => {
      for (const { gone } of exchanges) gone.abort(new HalfClosedError());
    });
    socket.once('close', () => {
      this.#exchanges.delete(socket);
      for (const { gone } of exchanges) gone.abort();
    });
  }

  #refuse(socket: Socket): void {
    this.#numRefused++;
    socket.on('error', () => socket.destroy());
    // `localhost` has a second listener, with a count of its own.
    const numOpenRefused = this.#progress.size - this.#exchanges.size;
    if (numOpenRefused > maxRefusedFor(this.#options.maxConnections)) {
      socket.destroy();
      return;
    }
    // Closed on while it still sends, a client would see a broken connection instead of its answer.
    socket.resume();
    socket.end(rawAnswer(new TooManyConnectionsError(this.#options.maxConnections)));
  }

  #begin(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    const exchanges = this.#exchanges.get(socket);
    const isExcess = (exchanges?.size ?? 0) >= this.#options.maxPipelinedRequests;
    const exchange = { request, response, gone: new AbortController(), isExcess };
    this.#exchangeOf.set(request, exchange);
    exchanges?.add(exchange);
    response.once('close', () => {
      exchanges?.delete(exchange);
      if (!response.writableFinished) exchange.gone.abort();
      if (this.#isClosing) this.#closeIfQuiet(socket);
    });
  }

  #closeIfQuiet(socket: Socket): void {
    const exchanges = this.#exchanges.get(socket) ?? [];
    // A request whose body never came in full has not been accepted.
    const isQuiet = [...exchanges].every(({ request }) => !request.complete);
    if (isQuiet) socket.destroySoon();
  }

  #look(maxLooks: number): void {
    for (const [socket, progress] of this.#progress) if (progress.look(socket) >= maxLooks) this.#cutStalled(socket);
    if (this.#numRefused === 0) return;
    const { log, maxConnections } = this.#options;
    log.warn(`${this.#numRefused} connections were refused: the limit is ${maxConnections} (--max-connections)`);
    this.#numRefused = 0;
  }

  #cutStalled(socket: Socket): void {
    const { log, stallTimeoutMs } = this.#options;
    const { writableLength: pendingBytes, remoteAddress } = socket;
    const requests = this.#exchanges.get(socket)?.size ?? 0;
    if (pendingBytes > 0) {
      log.warn(
        { pendingBytes, requests, remoteAddress },
        `a client has taken nothing for ${stallTimeoutMs} ms: its connection is cut (--stall-timeout-ms)`,
      );
    }
    // A reset drops what the kernel holds for it, too; only TCP knows it.
    if (remoteAddress === undefined) socket.destroy();
    else socket.resetAndDestroy();
  }
}
