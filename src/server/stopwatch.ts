import { type Clock, systemClock } from '../core/index.ts';

/** Measures the server's own share of a request (ms). */
export class Stopwatch {
  readonly #clock: Clock;
  readonly #startedAtMs: number;
  #receivedAtMs: number;
  #validatedAtMs: number;
  #writeMs = 0;

  /** Starts when the headers of the request have been read. */
  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
    this.#startedAtMs = clock.now();
    this.#receivedAtMs = this.#startedAtMs;
    this.#validatedAtMs = this.#startedAtMs;
  }

  /** The body has been read. */
  received(): void {
    this.#receivedAtMs = this.#clock.now();
  }

  validated(): void {
    this.#validatedAtMs = this.#clock.now();
  }

  /** Writes part of the reply and waits for the client to take it. */
  async write(send: () => Promise<unknown>): Promise<void> {
    const startedAtMs = this.#clock.now();
    await send();
    this.#writeMs += this.#clock.now() - startedAtMs;
  }

  read() {
    return {
      receiveMs: this.#receivedAtMs - this.#startedAtMs,
      validateMs: this.#validatedAtMs - this.#receivedAtMs,
      writeMs: this.#writeMs,
      totalMs: this.#clock.now() - this.#startedAtMs,
    };
  }
}
