import type { ModelRunner, SampledToken, Sequence, Step, StepLimits } from '../../src/core/index.ts';
import { describeStep } from './describe-step.ts';

/** A runner without a model: each sequence is given its scripted tokens. Writes down every step, and can be held in one. */
export class FakeRunner implements ModelRunner {
  readonly limits: StepLimits;
  /** What ran, as `prefill a` or `decode a b + prefill c`. */
  readonly steps: string[] = [];
  isDisposed = false;
  readonly #tokenAt: (sequence: Sequence, index: number) => number;
  readonly #failures = new Map<string, Error>();
  readonly #pauses = new Map<string, { reached: () => void; resumed: Promise<void> }>();
  #resume: () => void = () => {};

  constructor(limits: Partial<StepLimits>, tokenAt: (sequence: Sequence, index: number) => number) {
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

  failAt(step: string, error: Error): void {
    this.#failures.set(step, error);
  }

  async run(step: Step): Promise<readonly (SampledToken | undefined)[]> {
    const description = describeStep(step);
    this.steps.push(description);
    const pause = this.#pauses.get(description);
    this.#pauses.delete(description);
    pause?.reached();
    await pause?.resumed;
    const failure = this.#failures.get(description);
    if (failure) throw failure;
    return step.rows.map(({ sequence, numNewTokens }) =>
      sequence.numComputedTokens + numNewTokens < sequence.numTokens
        ? undefined
        : { tokenId: this.#tokenAt(sequence, sequence.outputTokenIds.length) },
    );
  }

  dispose(): void {
    this.isDisposed = true;
  }
}
