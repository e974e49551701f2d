import type { EngineError } from './errors.ts';
import type { Sequence } from './sequence.ts';

/** One row of a step: a sequence, fed its next `numNewTokens` tokens from `sequence.numComputedTokens` on. */
export interface StepRow {
  readonly sequence: Sequence;
  /** The slot of the KV cache that holds the sequence. */
  readonly slot: number;
  readonly numNewTokens: number;
}

/** A running sequence changes its slot before the step runs: its keys and values are copied. */
export interface SlotMove {
  readonly from: number;
  readonly to: number;
  /** Tokens in the cache that have to come along. */
  readonly numTokens: number;
}

/**
 * One iteration of the engine. Rows are in slot order, and:
 * decoding rows hold the slots 0, 1, 2 … without a hole, fresh prompts hold consecutive slots behind all others,
 * and every running sequence has a row.
 */
export interface Step {
  readonly moves: readonly SlotMove[];
  readonly rows: readonly StepRow[];
}

/** What a step gave a row. */
export interface SampledToken {
  readonly tokenId: number;
}

/** What a step gave a row: nothing while its prompt is not complete, or an error that concerns this row alone. */
export type RowResult = SampledToken | EngineError | undefined;

/** What one step may hold; the scheduler plans within it. */
export interface StepLimits {
  /** Rows of one step, and slots of the KV cache. */
  readonly maxBatchSize: number;
  /** Tokens of one sequence, prompt and output. */
  readonly maxModelLen: number;
  /** New tokens of one step over all its rows. */
  readonly maxStepTokens: number;
}

/** Runs steps on the model: all that the scheduler's side knows of the engine. */
export interface ModelRunner {
  readonly limits: StepLimits;
  /**
   * Feeds each row's new tokens and samples the next token of each row whose prompt is complete.
   * Keys and values are written in place at the row's slot, so steps never overlap. A step that failed may be run again.
   * @returns a result per row, in row order
   * @throws {EngineError} the run failed; the engine can run other steps. Anything else that is thrown is a defect
   */
  run(step: Step): Promise<readonly RowResult[]>;
  /** Makes the step in flight, if there is one, fail as soon as possible. No other step may follow. */
  terminate(): void;
  /** Frees what the runner holds outside the JavaScript heap. No step may be running. */
  dispose(): void;
}
