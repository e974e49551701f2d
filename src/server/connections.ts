import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** A request and its answer, under way on a connection. */
interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly gone: AbortController;
}

/** Who is connected, and which of their requests are under way: to notice that a client has left, and to close without cutting anybody. */
export class Connections {
  readonly #exchanges = new Map<Socket, Set<Exchange>>();
  readonly #signals = new WeakMap<IncomingMessage, AbortSignal>();
  #isClosing = false;

  constructor(server: Server) {
    server.on('connection', (socket: Socket) => this.#track(socket));
    server.prependListener('request', (request, response) =>
      this.#begin({ request, response, gone: new AbortController() }),
    );
  }

  /**
   * Aborts when the client leaves before its answer is complete. The connection tells, not the answer: of several requests sent at
   * once, only the answer whose turn it is would notice. (A request's own `close` comes when its body has been read.)
   */
  clientGone(request: IncomingMessage): AbortSignal {
    // What was injected came over no connection, and stays.
    return this.#signals.get(request) ?? new AbortController().signal;
  }

  /** Ends every connection without an accepted request at once, the others as soon as their answers are written. */
  close(): void {
    this.#isClosing = true;
    for (const socket of this.#exchanges.keys()) this.#closeIfQuiet(socket);
  }

  /** Cuts every connection. */
  cut(): void {
    for (const socket of this.#exchanges.keys()) socket.destroy();
  }

  #track(socket: Socket): void {
    const exchanges = new Set<Exchange>();
    this.#exchanges.set(socket, exchanges);
    if (this.#isClosing) socket.destroySoon();
    socket.once('close', () => {
      this.#exchanges.delete(socket);
      for (const { gone } of exchanges) gone.abort();
    });
  }

  #begin(exchange: Exchange): void {
    const { request, response, gone } = exchange;
    const { socket } = request;
    this.#signals.set(request, gone.signal);
    this.#exchanges.get(socket)?.add(exchange);
    response.once('close', () => {
      this.#exchanges.get(socket)?.delete(exchange);
      if (!response.writableFinished) gone.abort();
      if (this.#isClosing) this.#closeIfQuiet(socket);
    });
  }

  #closeIfQuiet(socket: Socket): void {
    const exchanges = this.#exchanges.get(socket) ?? [];
    // A request whose body never came in full has not been accepted.
    const isQuiet = [...exchanges].every(({ request }) => !request.complete);
    if (isQuiet) socket.destroySoon();
  }
}
