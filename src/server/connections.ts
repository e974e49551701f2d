import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyBaseLogger } from 'fastify';
import { TooManyConnectionsError, TooManyPipelinedError } from '../core/index.ts';
import { rawAnswer } from './raw-replies.ts';
import { SendProgress } from './send-progress.ts';

export interface ConnectionsOptions {
  readonly maxConnections: number;
  /** How many unanswered requests a connection may have. */
  readonly maxPipelinedRequests: number;
  /** How long a client may read nothing of the data that waits for it. */
  readonly stallTimeoutMs: number;
  readonly log: FastifyBaseLogger;
}

/** How many refused connections may stay open until their clients have read the reason. Others are closed without one. */
export const maxRefusedFor = (maxConnections: number) => Math.min(64, Math.ceil(maxConnections / 4));

/** The longest interval between two checks of the connections. */
const maxCheckIntervalMs = 5000;

/** Tracks connections and their open requests. Limits what clients hold, notices that one has stopped reading, and closes gracefully. */
export class Connections {
  readonly #options: ConnectionsOptions;
  /** The unanswered requests of each accepted connection. */
  readonly #requests = new Map<Socket, Set<IncomingMessage>>();
  /** Of every open connection, including refused ones. */
  readonly #progress = new Map<Socket, SendProgress>();
  /** Requests beyond the limit of their connection. */
  readonly #excess = new WeakSet<IncomingMessage>();
  #numRefused = 0;
  #isClosing = false;

  constructor(server: Server, options: ConnectionsOptions) {
    this.#options = options;
    // Otherwise Node would close a half-closed connection without a reply.
    Object.assign(server, { httpAllowHalfOpen: true });
    server.maxConnections = options.maxConnections + maxRefusedFor(options.maxConnections);
    server.on('drop', () => {
      this.#numRefused++;
    });
    const listeners = server.listeners('connection');
    server.removeAllListeners('connection');
    server.on('connection', (socket) => {
      this.#watch(socket);
      if (this.#requests.size >= options.maxConnections) this.#refuse(socket);
      else {
        this.#track(socket);
        for (const listener of listeners) Reflect.apply(listener, server, [socket]);
      }
    });
    server.prependListener('request', (request, response) => {
      this.#begin(request);
      response.once('close', () => this.#end(request));
    });
    const checkIntervalMs = Math.min(maxCheckIntervalMs, Math.ceil(options.stallTimeoutMs / 4));
    const maxChecks = Math.ceil(options.stallTimeoutMs / checkIntervalMs);
    let timer: NodeJS.Timeout | undefined;
    server.on('listening', () => {
      timer = setInterval(() => this.#check(maxChecks), checkIntervalMs).unref();
    });
    server.on('close', () => clearInterval(timer));
  }

  /** @throws {TooManyPipelinedError} when the request arrived, its connection had reached the limit of unanswered requests */
  checkPipelining(request: IncomingMessage): void {
    if (this.#excess.has(request)) throw new TooManyPipelinedError(this.#options.maxPipelinedRequests);
  }

  /** Closes connections without an accepted request now, the others as soon as their replies are written. */
  close(): void {
    this.#isClosing = true;
    for (const socket of this.#progress.keys()) this.#closeIfQuiet(socket);
  }

  /** Closes every connection at once. */
  cut(): void {
    for (const socket of this.#progress.keys()) socket.destroy();
  }

  #watch(socket: Socket): void {
    this.#progress.set(socket, new SendProgress());
    socket.once('close', () => this.#progress.delete(socket));
  }

  #track(socket: Socket): void {
    this.#requests.set(socket, new Set());
    if (this.#isClosing) socket.destroySoon();
    socket.once('close', () => this.#requests.delete(socket));
  }

  #refuse(socket: Socket): void {
    this.#numRefused++;
    socket.on('error', () => socket.destroy());
    // `localhost` has a second listener, which counts its connections separately.
    const numOpenRefused = this.#progress.size - this.#requests.size;
    if (numOpenRefused > maxRefusedFor(this.#options.maxConnections)) {
      socket.destroy();
      return;
    }
    // If the connection closed while the client was still sending, the client would not see the reply.
    socket.resume();
    socket.end(rawAnswer(new TooManyConnectionsError(this.#options.maxConnections)));
  }

  #begin(request: IncomingMessage): void {
    const requests = this.#requests.get(request.socket);
    if (requests === undefined) return;
    if (requests.size >= this.#options.maxPipelinedRequests) this.#excess.add(request);
    requests.add(request);
  }

  #end(request: IncomingMessage): void {
    const { socket } = request;
    this.#requests.get(socket)?.delete(request);
    if (this.#isClosing) this.#closeIfQuiet(socket);
  }

  #closeIfQuiet(socket: Socket): void {
    const requests = this.#requests.get(socket) ?? [];
    // A request whose body has not arrived in full has not been accepted.
    const isQuiet = [...requests].every(({ complete }) => !complete);
    if (isQuiet) socket.destroySoon();
  }

  #check(maxChecks: number): void {
    for (const [socket, progress] of this.#progress) if (progress.check(socket) >= maxChecks) this.#cutStalled(socket);
    if (this.#numRefused === 0) return;
    const { log, maxConnections } = this.#options;
    log.warn(`${this.#numRefused} connections were refused: the limit is ${maxConnections} (maxConnections)`);
    this.#numRefused = 0;
  }

  #cutStalled(socket: Socket): void {
    const { log, stallTimeoutMs } = this.#options;
    const { writableLength: pendingBytes, remoteAddress } = socket;
    const requests = this.#requests.get(socket)?.size ?? 0;
    if (pendingBytes > 0) {
      log.warn(
        { pendingBytes, requests, remoteAddress, stallTimeoutMs },
        'a client stopped reading: its connection is closed',
      );
    }
    // Only TCP can reset, which also frees what the kernel holds for the client.
    if (remoteAddress === undefined) socket.destroy();
    else socket.resetAndDestroy();
  }
}
