import type {
  EngineError,
  ModelRunner,
  NoTokenError,
  RowResult,
  SampledToken,
  Step,
  StepLimits,
} from '../../src/core/index.ts';
import type { StepTrace } from './step-trace.ts';

/** The token at an index of a sequence's output, or the error that its row fails with. */
export type Script = (name: string, index: number, choice: number) => number | EngineError | NoTokenError;

/** A runner that follows a script instead of running a model. It records every step, and can be paused during one. */
export class FakeRunner implements ModelRunner {
  readonly limits: StepLimits;
  /** Descriptions of the steps so far, such as `prefill a` or `decode a b + prefill c`. */
  readonly steps: string[] = [];
  isTerminated = false;
  isDisposed = false;
  numTokens = 0;
  readonly #trace: StepTrace;
  readonly #tokenAt: Script;
  #failureOf: (step: string) => Error | undefined = () => undefined;
  readonly #pauses = new Map<string, { reached: () => void; resumed: Promise<void> }>();
  #resume: () => void = () => {};

  constructor(limits: Partial<StepLimits>, trace: StepTrace, tokenAt: Script) {
    this.limits = { maxBatchSize: 4, maxModelLen: 64, maxStepTokens: 36, ...limits };
    this.#trace = trace;
    this.#tokenAt = tokenAt;
  }

  /** Pauses the next step with this description until {@link resume} is called. Resolves when the step has started. */
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

  /** From now on, steps fail with the error that `failureOf` returns for their descriptions. */
  failWith(failureOf: (step: string) => Error | undefined): void {
    this.#failureOf = failureOf;
  }

  /** The next step with this description fails. */
  failOnceAt(step: string, error: Error): void {
    this.failWith((description) => {
      if (description !== step) return undefined;
      this.failWith(() => undefined);
      return error;
    });
  }

  async run(step: Step): Promise<readonly RowResult[]> {
    const description = this.#trace.describe(step);
    this.steps.push(description);
    const pause = this.#pauses.get(description);
    this.#pauses.delete(description);
    pause?.reached();
    await pause?.resumed;
    const failure = this.#failureOf(description);
    if (failure) throw failure;
    return step.rows.map((row) => {
      const { choices, tokenIndex } = row.sample ?? { choices: [], tokenIndex: 0 };
      this.numTokens += choices.length;
      const tokens: SampledToken[] = [];
      for (const choice of choices) {
        const token = this.#tokenAt(this.#trace.nameOf(row), tokenIndex, choice);
        if (typeof token !== 'number') return token;
        tokens.push({ id: token });
      }
      return { tokens };
    });
  }

  terminate(): void {
    this.isTerminated = true;
  }

  dispose(): void {
    this.isDisposed = true;
  }
}
