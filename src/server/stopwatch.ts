import { type Clock, systemClock } from '../core/index.ts';

/** Times what the server itself does for one request (ms). */
export class Stopwatch {
  readonly #clock: Clock;
  readonly #startedAtMs: number;
  #receivedAtMs: number;
  #validatedAtMs: number;
  #writeMs = 0;

  /** To be made when the head of the request is there. */
  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
    this.#startedAtMs = clock.now();
    this.#receivedAtMs = this.#startedAtMs;
    this.#validatedAtMs = this.#startedAtMs;
  }

  /** The whole body is there. */
  received(): void {
    this.#receivedAtMs = this.#clock.now();
  }

  validated(): void {
    this.#validatedAtMs = this.#clock.now();
  }

  /** Writes a part of the answer, and waits until the client takes it. */
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
