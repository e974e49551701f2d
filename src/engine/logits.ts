import { setImmediate } from 'node:timers/promises';
import type { RowSampling, SampledToken } from '../core/index.ts';
import type { TokenSampler } from '../sampling/index.ts';
import { type NativeArray, nativeArray, type Resources, type Session } from './ort/index.ts';

/** Rows drawn per turn of the event loop: with a vocabulary of 50,000, a row takes up to about 4 ms. */
const rowsPerTurn = 4;

export interface LogitsShape {
  readonly maxRows: number;
  readonly vocabSize: number;
}

/** A row of logits that a token is drawn from. */
export interface DrawnRow {
  /** Index among the run's rows of logits. */
  readonly at: number;
  readonly sampling: RowSampling;
}

/** The logits of a run, float32 [rows, vocabulary]. */
export interface Logits {
  /** Binds the output of the next run. */
  bind(numRows: number): void;
  /** Draws from rows of the last run. @returns tokens in the order of the rows, undefined where the logits are not numbers */
  draw(rows: readonly DrawnRow[], sampler: TokenSampler): Promise<readonly (SampledToken | undefined)[]>;
}

/** Logits in the memory of the host. */
export class HostLogits implements Logits {
  readonly #session: Session;
  readonly #vocabSize: number;
  readonly #logits: NativeArray<Float32Array>;

  constructor(session: Session, { maxRows, vocabSize }: LogitsShape, owned: Resources) {
    this.#session = session;
    this.#vocabSize = vocabSize;
    this.#logits = owned.own(nativeArray(Float32Array, maxRows * vocabSize));
  }

  bind(numRows: number): void {
    this.#session.bindOutput('logits', {
      buffer: this.#logits.buffer,
      type: 'float32',
      shape: [numRows, this.#vocabSize],
    });
  }

  draw(rows: readonly DrawnRow[], sampler: TokenSampler): Promise<readonly (SampledToken | undefined)[]> {
    return drawFrom(rows, ({ at }) => nthRow(this.#logits.values, this.#vocabSize, at), sampler);
  }
}

/** Draws from whole rows, and yields to the event loop in between. */
export async function drawFrom(
  rows: readonly DrawnRow[],
  logitsOf: (row: DrawnRow, nth: number) => Float32Array,
  sampler: TokenSampler,
): Promise<(SampledToken | undefined)[]> {
  const tokens: (SampledToken | undefined)[] = [];
  for (const [nth, row] of rows.entries()) {
    if (nth > 0 && nth % rowsPerTurn === 0) await setImmediate();
    tokens.push(sampler.sample(logitsOf(row, nth), row.sampling));
  }
  return tokens;
}

export function nthRow(values: Float32Array, width: number, nth: number): Float32Array {
  return values.subarray(nth * width, (nth + 1) * width);
}
