import type { RowSampling, RowScoring } from '../core/index.ts';
import type { GraphRun } from './run-plan.ts';

/** What the rows of a run's logits are for. */
export interface LogitRows {
  /** The rows that tokens are drawn from come first. */
  readonly drawn: readonly DrawnRow[];
  readonly scored: readonly ScoredRow[];
  /** For each row of logits, which of the run's tokens it follows. */
  readonly tokens: readonly number[];
}

/** A row of logits that tokens are drawn from. */
export interface DrawnRow {
  /** Place of the row in its step. */
  readonly index: number;
  /** Index among the run's rows of logits. */
  readonly at: number;
  readonly sampling: RowSampling;
}

/** Consecutive rows of logits that give the log probabilities of known tokens. */
export interface ScoredRow {
  /** Place of the row in its step. */
  readonly index: number;
  /** Index of the first one among the run's rows of logits. */
  readonly at: number;
  readonly scoring: RowScoring;
}

/** Which tokens of a run get logits, and what for. The tokens are those of the decoding rows, then those of the prompts. */
export function planLogits({ decode, prompt }: GraphRun): LogitRows {
  const rows: { index: number; first: number; last: number; sampling?: RowSampling; scoring?: RowScoring }[] = [];
  let numTokens = 0;
  for (const { index, row } of [...decode.rows, ...prompt.rows]) {
    const first = numTokens;
    numTokens += row.tokenIds.length;
    rows.push({
      index,
      first,
      last: numTokens - 1,
      ...(row.sample && { sampling: row.sample }),
      ...(row.score && { scoring: row.score }),
    });
  }
  const tokens: number[] = [];
  const drawn: DrawnRow[] = [];
  for (const { index, last, sampling } of rows) {
    if (sampling !== undefined) drawn.push({ index, at: tokens.push(last) - 1, sampling });
  }
  const scored: ScoredRow[] = [];
  for (const { index, first, scoring } of rows) {
    if (scoring === undefined || scoring.tokenIds.length === 0) continue;
    scored.push({ index, at: tokens.length, scoring });
    tokens.push(...scoring.tokenIds.map((_, i) => first + i));
  }
  return { drawn, scored, tokens };
}
