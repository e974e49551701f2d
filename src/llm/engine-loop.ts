import { setImmediate } from 'node:timers/promises';
import { type Clock, EngineError, type ModelRunner, type RowResult, type Sequence, type Step } from '../core/index.ts';
import type { Scheduler, SequenceOutput } from '../scheduler/index.ts';

export interface EngineLoopOptions {
  readonly scheduler: Scheduler;
  readonly runner: ModelRunner;
  readonly clock: Clock;
  /** A step gave these results. Called between two steps. */
  onOutputs(outputs: readonly SequenceOutput[]): void;
  /** These sequences ended with a step that failed. */
  onLost(sequences: readonly Sequence[], error: EngineError): void;
  /** A step failed, or some of its rows did. Called once for the step. */
  onFailure(error: EngineError): void;
  /** A defect of this code was thrown: the loop has ended, and the state of its sequences is unknown. */
  onDefect(error: unknown): void;
}

/** `schedule → run → update → publish`, over and over while there is work. */
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

  /** Steps that gave nothing but errors since the last one that did not. */
  get numFailuresInARow(): number {
    return this.#numFailuresInARow;
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
    const { scheduler, clock } = this.#options;
    // Requests that came with the same turn of the event loop share the first step.
    await setImmediate();
    for (;;) {
      const step = scheduler.schedule(clock.now());
      if (step === undefined) break;
      this.#numSteps++;
      const results = await this.#runStep(step);
      if (results instanceof EngineError) this.#fail(step, results);
      else this.#update(step, results);
    }
    // In the same tick as the last look at the scheduler: the next request starts the loop again.
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

  #fail(step: Step, error: EngineError): void {
    const { scheduler, onFailure, onLost } = this.#options;
    this.#numFailuresInARow++;
    onFailure(error);
    onLost(scheduler.fail(step), error);
  }

  #update(step: Step, results: readonly RowResult[]): void {
    const { scheduler, clock, onFailure, onOutputs } = this.#options;
    const errors = results.filter((result) => result instanceof EngineError);
    if (errors.length === 0 || errors.length < results.length) this.#numFailuresInARow = 0;
    else this.#numFailuresInARow++;
    const [error] = errors;
    if (error !== undefined) onFailure(error);
    onOutputs(scheduler.update(step, results, clock.now()));
  }
}
