import { setImmediate } from 'node:timers/promises';
import type { Clock, ModelRunner, SampledToken, Sequence, Step } from '../core/index.ts';
import { EngineError, messageOf } from '../core/index.ts';
import type { Scheduler, SequenceOutput } from '../scheduler/index.ts';

export interface EngineLoopOptions {
  readonly scheduler: Scheduler;
  readonly runner: ModelRunner;
  readonly clock: Clock;
  /** A step gave these tokens. Called between two steps. */
  onTokens(outputs: readonly SequenceOutput[]): void;
  /** A step failed, and took these sequences with it. */
  onLost(sequences: readonly Sequence[], error: EngineError): void;
  /** What only a defect of this code throws: the loop has ended, and nothing is known of its sequences. */
  onDefect(error: unknown): void;
}

/** `schedule → run → update → publish`, over and over while there is work. */
export class EngineLoop {
  readonly #options: EngineLoopOptions;
  #running: Promise<void> | undefined;
  #numSteps = 0;

  constructor(options: EngineLoopOptions) {
    this.#options = options;
  }

  get numSteps(): number {
    return this.#numSteps;
  }

  /** There may be something to do. */
  wake(): void {
    this.#running ??= this.#run().catch(this.#options.onDefect);
  }

  /** Resolves when the loop has nothing to do: no step is running. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    const { scheduler, clock, onTokens, onLost } = this.#options;
    // Requests that came with the same turn of the event loop share the first step.
    await setImmediate();
    for (;;) {
      const step = scheduler.schedule(clock.now());
      if (step === undefined) break;
      this.#numSteps++;
      const tokens = await this.#runStep(step);
      if (tokens instanceof EngineError) onLost(scheduler.fail(step), tokens);
      else onTokens(scheduler.update(step, tokens, clock.now()));
    }
    // In the same tick as the last look at the scheduler: whoever comes next starts the loop anew.
    this.#running = undefined;
  }

  async #runStep(step: Step): Promise<readonly (SampledToken | undefined)[] | EngineError> {
    try {
      return await this.#options.runner.run(step);
    } catch (error) {
      return error instanceof EngineError ? error : new EngineError(messageOf(error), error);
    }
  }
}
