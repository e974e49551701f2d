import type { EngineError, ModelRunner, RowResult, Sequence, Step, StepLimits } from '../../src/core/index.ts';
import { describeStep } from './describe-step.ts';

/** A runner without a model: each sequence is given its scripted tokens. Writes down every step, and can be held in one. */
export class FakeRunner implements ModelRunner {
  readonly limits: StepLimits;
  /** What ran, as `prefill a` or `decode a b + prefill c`. */
  readonly steps: string[] = [];
  isTerminated = false;
  isDisposed = false;
  numTokens = 0;
  readonly #tokenAt: (sequence: Sequence, index: number) => number | EngineError;
  #failureOf: (step: string) => Error | undefined = () => undefined;
  readonly #pauses = new Map<string, { reached: () => void; resumed: Promise<void> }>();
  #resume: () => void = () => {};

  constructor(limits: Partial<StepLimits>, tokenAt: (sequence: Sequence, index: number) => number | EngineError) {
    this.limits = { maxBatchSize: 4, maxModelLen: 64, maxStepTokens: 36, ...limits };
    this.#tokenAt = tokenAt;
  }

  /** The step of this description, when it comes, is held until {@link resume}; resolves when it has come. */
  pausedAt(step: string): Promise<void> {
    return new Promise((reached) => {
      const resumed = new Promise<void>((resume) => {
        this.#resume = resume;
      });
      this.#pauses.set(step, { reached, resumed });
    });
  }

  resume(): void {
    this.#resume();
  }

  /** From now on, steps fail with the error that this gives for their description. */
  failWith(failureOf: (step: string) => Error | undefined): void {
    this.#failureOf = failureOf;
  }

  /** The next step of this description fails. */
  failOnceAt(step: string, error: Error): void {
    this.failWith((description) => {
      if (description !== step) return undefined;
      this.failWith(() => undefined);
      return error;
    });
  }

  async run(step: Step): Promise<readonly RowResult[]> {
    const description = describeStep(step);
    this.steps.push(description);
    const pause = this.#pauses.get(description);
    this.#pauses.delete(description);
    pause?.reached();
    await pause?.resumed;
    const failure = this.#failureOf(description);
    if (failure) throw failure;
    return step.rows.map(({ sequence, numNewTokens }) => {
      if (sequence.numComputedTokens + numNewTokens < sequence.numTokens) return undefined;
      this.numTokens++;
      const token = this.#tokenAt(sequence, sequence.outputTokenIds.length);
      return typeof token === 'number' ? { tokenId: token } : token;
    });
  }

  terminate(): void {
    this.isTerminated = true;
  }

  dispose(): void {
    this.isDisposed = true;
  }
}
