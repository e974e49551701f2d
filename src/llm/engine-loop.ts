import { setImmediate } from 'node:timers/promises';
import { type Clock, EngineError, type ModelRunner, type RowResult, type Step } from '../core/index.ts';
import type { Scheduler, Sequence, SequenceOutput } from '../scheduler/index.ts';

export interface EngineLoopOptions {
  readonly scheduler: Scheduler;
  readonly runner: ModelRunner;
  readonly clock: Clock;
  /** The results of a step. Called between two steps. */
  onOutputs(outputs: readonly SequenceOutput[]): void;
  /** These sequences ended because a step failed. */
  onLost(sequences: readonly Sequence[], error: EngineError): void;
  /** A step failed, or some of its rows did. Called once per step. */
  onFailure(error: EngineError): void;
  /** The loop has ended because of a bug. The state of its sequences is unknown. */
  onDefect(error: unknown): void;
}

/** `schedule → run → update → publish`, repeated while there is work. */
export class EngineLoop {
  readonly #options: EngineLoopOptions;
  #running: Promise<void> | undefined;
  #numSteps = 0;
  #numFailuresInARow = 0;

  constructor(options: EngineLoopOptions) {
    this.#options = options;
  }

  get numSteps(): number {
    return this.#numSteps;
  }

  /** Steps since the last one that did not end in errors alone. */
  get numFailuresInARow(): number {
    return this.#numFailuresInARow;
  }

  /** Starts the loop if it is idle. */
  wake(): void {
    this.#running ??= this.#run().catch(this.#options.onDefect);
  }

  /** Resolves when no step is running and there is nothing to do. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    const { scheduler, clock } = this.#options;
    // Requests that arrived in the same turn of the event loop share the first step.
    await setImmediate();
    for (;;) {
      const step = scheduler.schedule(clock.now());
      if (step === undefined) break;
      this.#numSteps++;
      const results = await this.#runStep(step);
      if (results instanceof EngineError) this.#fail(results);
      else this.#update(results);
    }
    // In the same tick as the last `schedule`, so that the next request starts the loop again.
    this.#running = undefined;
  }

  async #runStep(step: Step): Promise<readonly RowResult[] | EngineError> {
    try {
      return await this.#options.runner.run(step);
    } catch (error) {
      if (error instanceof EngineError) return error;
      throw error;
    }
  }

  #fail(error: EngineError): void {
    const { scheduler, onFailure, onLost } = this.#options;
    this.#numFailuresInARow++;
    onFailure(error);
    onLost(scheduler.fail(), error);
  }

  #update(results: readonly RowResult[]): void {
    const { scheduler, clock, onFailure, onOutputs } = this.#options;
    const errors = results.filter((result) => result instanceof EngineError);
    if (errors.length === 0 || errors.length < results.length) this.#numFailuresInARow = 0;
    else this.#numFailuresInARow++;
    const [error] = errors;
    if (error !== undefined) onFailure(error);
    onOutputs(scheduler.update(results, clock.now()));
  }
}
