import { setImmediate } from 'node:timers/promises';
import type { SamplingParams } from '../core/index.ts';
import { type NativeArray, nativeArray, type Resources, type Session } from './ort/index.ts';
import type { TokenSampler } from './sampler.ts';

/** Rows drawn between two turns of the event loop: one takes up to some 4 ms where the vocabulary is 50,000. */
const rowsPerTurn = 4;

export interface LogitsShape {
  readonly maxRows: number;
  readonly vocabSize: number;
}

/** A row of logits from which a token is drawn. */
export interface DrawnRow {
  /** Which row of the run's logits it is. */
  readonly at: number;
  readonly sampling: SamplingParams;
  /** Which token of the request it is. */
  readonly tokenIndex: number;
}

/** Where a run leaves its logits, float32 [rows, vocabulary]. */
export interface Logits {
  /** Binds the output of the next run. */
  bind(numRows: number): void;
  /** Draws from rows of the last run. @returns token ids in the order of the rows, undefined where the logits are not numbers */
  draw(rows: readonly DrawnRow[], sampler: TokenSampler): Promise<readonly (number | undefined)[]>;
}

/** In the memory of the host. */
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

  draw(rows: readonly DrawnRow[], sampler: TokenSampler): Promise<readonly (number | undefined)[]> {
    return drawFrom(rows, ({ at }) => nthRow(this.#logits.values, this.#vocabSize, at), sampler);
  }
}

/** Draws from whole rows, and lets the event loop turn in between. */
export async function drawFrom(
  rows: readonly DrawnRow[],
  logitsOf: (row: DrawnRow, nth: number) => Float32Array,
  sampler: TokenSampler,
): Promise<(number | undefined)[]> {
  const tokens: (number | undefined)[] = [];
  for (const [nth, row] of rows.entries()) {
    if ((nth + 1) % rowsPerTurn === 0) await setImmediate();
    tokens.push(sampler.sample(logitsOf(row, nth), row.sampling, row.tokenIndex));
  }
  return tokens;
}

export function nthRow(values: Float32Array, width: number, nth: number): Float32Array {
  return values.subarray(nth * width, (nth + 1) * width);
}
