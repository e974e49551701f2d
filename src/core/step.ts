import type { EngineError } from './errors.ts';
import type { SamplingParams } from './request.ts';

/** How to draw the next token of a row. */
export interface RowSampling {
  readonly params: SamplingParams;
  /** Index of the token among the tokens of its answer, from 0. With the seed, it determines the random number of the draw. */
  readonly tokenIndex: number;
}

/** One row of a step: `tokenIds` are fed from position `start` on, into `slot`. */
export interface StepRow {
  /** The slot of the KV cache that holds the keys and values of positions 0 to `start - 1`. */
  readonly slot: number;
  readonly start: number;
  /** At least one. */
  readonly tokenIds: readonly number[];
  /** Undefined if no token is drawn: more of the prompt is to come. */
  readonly sample: RowSampling | undefined;
}

/** Keys and values are copied to another slot before the step runs. The slots of all moves of a step are distinct. */
export interface SlotMove {
  readonly from: number;
  readonly to: number;
  /** Tokens to copy, from position 0 on. */
  readonly numTokens: number;
}

/**
 * One iteration of the engine, as a plain value: it can be printed, compared and sent to another process.
 * Rows are in slot order. Rows that decode hold the slots 0, 1, 2 … without a hole, and fresh prompts (`start` 0) hold consecutive slots
 * behind all other rows.
 */
export interface Step {
  readonly moves: readonly SlotMove[];
  readonly rows: readonly StepRow[];
}

/** A token that the model has drawn, with everything that is known about it. Travels unchanged from the sampler to the client. */
export interface SampledToken {
  readonly id: number;
}

/** The result of a row: a token, an error that concerns only this row, or nothing if no token was to be drawn. */
export type RowResult = SampledToken | EngineError | undefined;

/** What one step may hold; the scheduler plans within it. */
export interface StepLimits {
  /** Rows of one step, and slots of the KV cache. */
  readonly maxBatchSize: number;
  /** Tokens of one sequence, prompt and output. */
  readonly maxModelLen: number;
  /** Tokens fed in one step over all its rows. */
  readonly maxStepTokens: number;
}

/** Runs steps on the model. The scheduler knows nothing else of the engine. */
export interface ModelRunner {
  readonly limits: StepLimits;
  /**
   * Feeds each row's tokens and draws the next token of each row that has `sample`.
   * Keys and values are written in place at the row's slot, so steps never overlap. A failed step may be run again.
   * @returns one result per row, in row order
   * @throws {EngineError} the run failed; the engine can run other steps. Anything else that is thrown is a defect
   */
  run(step: Step): Promise<readonly RowResult[]>;
  /** Makes the step in flight, if any, fail as soon as possible. No other step may follow. */
  terminate(): void;
  /** Frees the memory outside the JavaScript heap. No step may be running. */
  dispose(): void;
}
