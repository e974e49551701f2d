import type { Clock, ModelRunner, Sequence } from '../core/index.ts';
import { EngineError, messageOf } from '../core/index.ts';
import type { Scheduler, SequenceOutput } from '../scheduler/index.ts';

export interface EngineLoopEvents {
  /** A step gave these tokens. Called between two steps. */
  onTokens(outputs: readonly SequenceOutput[]): void;
  /** A step failed, and took these sequences with it. */
  onLost(sequences: readonly Sequence[], error: EngineError): void;
}

/** `schedule → run → update → publish`, over and over while there is work. */
export class EngineLoop {
  readonly #scheduler: Scheduler;
  readonly #runner: ModelRunner;
  readonly #clock: Clock;
  readonly #events: EngineLoopEvents;
  #running: Promise<void> | undefined;
  #numSteps = 0;

  constructor(scheduler: Scheduler, runner: ModelRunner, clock: Clock, events: EngineLoopEvents) {
    this.#scheduler = scheduler;
    this.#runner = runner;
    this.#clock = clock;
    this.#events = events;
  }

  get numSteps(): number {
    return this.#numSteps;
  }

  /** There may be something to do. */
  wake(): void {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  /** Resolves when the loop has nothing to do. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    // Requests that arrive together are seen together.
    await Promise.resolve();
    for (;;) {
      const step = this.#scheduler.schedule(this.#clock.now());
      if (step === undefined) return;
      this.#numSteps++;
      try {
        const tokens = await this.#runner.run(step);
        this.#events.onTokens(this.#scheduler.update(step, tokens, this.#clock.now()));
      } catch (error) {
        const failure = error instanceof EngineError ? error : new EngineError(messageOf(error), error);
        this.#events.onLost(this.#scheduler.fail(step), failure);
      }
    }
  }
}
