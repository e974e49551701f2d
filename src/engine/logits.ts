import type { RowSampling } from '../core/index.ts';
import type { LikeliestTokens } from '../sampling/index.ts';
import { type NativeArray, nativeArray, type Resources, type Session } from './ort/index.ts';

export interface LogitsShape {
  /** Rows of logits of a run that draws tokens only. */
  readonly maxDrawn: number;
  /** Rows of logits of a run that scores a prompt, too. */
  readonly maxRows: number;
  readonly vocabSize: number;
}

/** Rows of logits in the memory of the host: float32 [rows, vocabulary]. The reader may change them. */
export interface HostRows {
  readonly array: NativeArray<Float32Array>;
  /** Where the row is that has this index among the run's rows. Consecutive ones are next to each other if they were read together. */
  placeOf(at: number): number;
}

/** Rows that are next to each other. */
export interface RowRange {
  readonly array: NativeArray<Float32Array>;
  readonly first: number;
}

/** The logits of a run, float32 [rows, vocabulary]. */
export interface Logits {
  /** Binds the output of the next run. */
  bind(numRows: number): void;
  /** Rows of the last run. Valid until the next call. @param ats ascending */
  read(ats: readonly number[]): Promise<HostRows>;
  /** The most likely tokens of rows, if finding them is faster than reading all. */
  readLikeliest?(rows: readonly { readonly at: number; readonly sampling: RowSampling }[]): Promise<LikeliestTokens[]>;
}

/** Logits in the memory of the host. */
export class HostLogits implements Logits {
  readonly #session: Session;
  readonly #vocabSize: number;
  /** Pages that no run has written take no memory. */
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

  async read(): Promise<HostRows> {
    return { array: this.#logits, placeOf: (at) => at };
  }
}

export function nthRow(values: Float32Array, width: number, nth: number): Float32Array {
  return values.subarray(nth * width, (nth + 1) * width);
}
