import type { EngineError, NoTokenError } from './errors.ts';
import type { SamplingParams } from './request.ts';

/** How to draw the next token of a row. */
export interface RowSampling {
  readonly params: SamplingParams;
  /** Index of the token among the tokens of its answer, from 0. With seed and choice, it determines the random number of the draw. */
  readonly tokenIndex: number;
  /** The answers that draw a token from this row: one, or at the end of the prompt all answers to it. */
  readonly choices: readonly number[];
  /** The tokens so far, if the parameters depend on them. */
  readonly context?: TokenContext | undefined;
  /** Tokens that cannot be drawn now. */
  readonly bannedTokenIds?: readonly number[] | undefined;
  /** How many of the most likely tokens to report with their log probabilities. If undefined, none is computed. */
  readonly numLogprobs?: number | undefined;
}

/** The tokens of a sequence up to now. */
export interface TokenContext {
  readonly promptTokenIds: readonly number[];
  readonly outputTokenIds: readonly number[];
}

/** Asks for the log probabilities of tokens that are known already. */
export interface RowScoring {
  /** The token that follows each fed one. At the end of the prompt, the last fed token has none, and there is one less. */
  readonly tokenIds: readonly number[];
  readonly numLogprobs: number;
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
  readonly score?: RowScoring | undefined;
}

/** Keys and values are copied to another slot before the step runs, move by move. No move reads a slot that an earlier one of the step wrote. */
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
  /** If the request asks for it. */
  readonly logprobs?: TokenLogprobs;
}

/** Natural logarithms of probabilities in the model's own distribution: before penalties, masks and temperature. */
export interface TokenLogprobs {
  /** Of the token itself. */
  readonly logprob: number;
  /** Place of the token among all tokens by probability, from 1. */
  readonly rank: number;
  /** The most likely tokens, the most likely first. */
  readonly top: readonly { readonly id: number; readonly logprob: number }[];
}

/** What a row has given. */
export interface RowOutput {
  /** One per choice of the row's `sample`. */
  readonly tokens: readonly SampledToken[];
  /** One per token of the row's `score`. */
  readonly scores?: readonly TokenLogprobs[];
}

/** The result of a row, or an error that concerns only this row. */
export type RowResult = RowOutput | EngineError | NoTokenError;

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
