import type { GenerationEvent } from '../core/index.ts';

/**
 * The events of one request between the engine, which never waits, and the client, which may be slow.
 * The engine ends the request when the stream is full, so at most `maxTokens` tokens and what comes with them wait.
 */
export class OutputStream implements AsyncIterableIterator<GenerationEvent> {
  readonly #events: GenerationEvent[] = [];
  readonly #maxTokens: number;
  /** That wait for the client. */
  #numTokens = 0;
  readonly #onReturn: () => void;
  #isClosed = false;
  #wake: (() => void) | undefined;

  /** @param onReturn called when a loop over the events is left early */
  constructor(maxTokens: number, onReturn: () => void = () => {}) {
    this.#maxTokens = maxTokens;
    this.#onReturn = onReturn;
  }

  /** Whether the maximum number of tokens waits for the client. */
  get isFull(): boolean {
    return this.#numTokens >= this.#maxTokens;
  }

  /** The stream of a request whose client left before it was accepted. */
  static closed(): OutputStream {
    const stream = new OutputStream(0);
    stream.close();
    return stream;
  }

  push(event: GenerationEvent): void {
    if (this.#isClosed) return;
    this.#events.push(event);
    if (event.type === 'token') this.#numTokens++;
    this.#wake?.();
  }

  /** The last event has been pushed. */
  end(): void {
    this.#isClosed = true;
    this.#wake?.();
  }

  /** Drops all events: the client has left. */
  close(): void {
    this.#isClosed = true;
    this.#events.length = 0;
    this.#wake?.();
  }

  async next(): Promise<IteratorResult<GenerationEvent>> {
    for (;;) {
      const event = this.#events.shift();
      if (event?.type === 'token') this.#numTokens--;
      if (event !== undefined) return { done: false, value: event };
      if (this.#isClosed) return { done: true, value: undefined };
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async return(): Promise<IteratorResult<GenerationEvent>> {
    this.#onReturn();
    this.close();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
