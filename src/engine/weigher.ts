import { weightsGraph } from '../model/index.ts';
import { numSegmentsOf, segmentSize, type WeighedRow } from '../sampling/index.ts';
import { nthRow } from './logits.ts';
import { type NativeArray, nativeArray, type Resources, Session, type SessionOptions } from './ort/index.ts';

/** Rows whose weights are computed together. */
export const rowsPerBatch = 10;

/** Far above where all tokens are equally likely, and within float32. */
const maxTemperature = 1e30;

/** A few rows on their way from logits to weights. */
export interface Batch {
  logitsOf(nth: number): Float32Array;
  /** Valid after {@link Weigher.run}. */
  rowOf(nth: number): WeighedRow;
  setTemperature(nth: number, temperature: number): void;
}

interface BatchMemory {
  readonly logits: NativeArray<Float32Array>;
  readonly weights: NativeArray<Float32Array>;
  readonly sums: NativeArray<Float32Array>;
  readonly maxima: NativeArray<Float32Array>;
  readonly temperatures: NativeArray<Float32Array>;
}

/**
 * Computes the softmax of logits on the CPU, off the event loop, and several times as fast as JavaScript could. There are two batches, so
 * that the event loop can work on one while the other is computed.
 */
export class Weigher {
  readonly #session: Session;
  readonly #vocabSize: number;
  readonly #batches: readonly [BatchMemory, BatchMemory];

  /** @param owned becomes the owner of the session and the memory */
  constructor(vocabSize: number, session: SessionOptions, owned: Resources) {
    this.#vocabSize = vocabSize;
    this.#session = owned.own(new Session(weightsGraph({ vocabSize, segmentSize }), session));
    const rowsOf = (width: number) => owned.own(nativeArray(Float32Array, rowsPerBatch * width));
    const memory = (): BatchMemory => ({
      logits: rowsOf(vocabSize),
      weights: rowsOf(vocabSize),
      sums: rowsOf(numSegmentsOf(vocabSize)),
      maxima: rowsOf(numSegmentsOf(vocabSize)),
      temperatures: rowsOf(1),
    });
    this.#batches = [memory(), memory()];
  }

  /** The batch that follows. Its contents are valid until the batch after the next. */
  batch(nth: number): Batch {
    const { logits, weights, sums, maxima, temperatures } = this.#memory(nth);
    const logitsOf = (row: number) => nthRow(logits.values, this.#vocabSize, row);
    return {
      logitsOf,
      rowOf: (row) => ({
        logits: logitsOf(row),
        weights: nthRow(weights.values, this.#vocabSize, row),
        sums: nthRow(sums.values, this.#numSegments, row),
        maxima: nthRow(maxima.values, this.#numSegments, row),
      }),
      setTemperature: (row, temperature) => {
        temperatures.values[row] = Math.min(temperature, maxTemperature);
      },
    };
  }

  /** Computes the weights of a batch. One run at a time. */
  async run(nth: number, numRows: number): Promise<void> {
    const { logits, weights, sums, maxima, temperatures } = this.#memory(nth);
    const shape = [numRows, this.#vocabSize];
    const session = this.#session;
    session.bindInput('rows', { buffer: logits.buffer, type: 'float32', shape });
    session.bindInput('temperature', { buffer: temperatures.buffer, type: 'float32', shape: [numRows, 1] });
    session.bindOutput('weights', { buffer: weights.buffer, type: 'float32', shape });
    const segments = [numRows, this.#numSegments, 1];
    session.bindOutput('sums', { buffer: sums.buffer, type: 'float32', shape: segments });
    session.bindOutput('maxima', { buffer: maxima.buffer, type: 'float32', shape: segments });
    await session.run();
  }

  terminate(): void {
    this.#session.terminate();
  }

  get #numSegments(): number {
    return numSegmentsOf(this.#vocabSize);
  }

  #memory(nth: number): BatchMemory {
    return this.#batches[nth % 2 === 0 ? 0 : 1];
  }
}
