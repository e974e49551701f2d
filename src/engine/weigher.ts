import { weightsGraph } from '../model/index.ts';
import { nthRow } from './logits.ts';
import { type NativeArray, nativeArray, type Resources, Session, type SessionOptions } from './ort/index.ts';

/** Rows whose weights are computed together. */
export const rowsPerBatch = 10;

/** Far above where all tokens are equally likely, and within float32. */
const maxTemperature = 1e30;

/** A few rows on their way from logits to weights. */
export interface Batch {
  logitsOf(nth: number): Float32Array;
  weightsOf(nth: number): Float32Array;
  setTemperature(nth: number, temperature: number): void;
}

interface BatchMemory {
  readonly logits: NativeArray<Float32Array>;
  readonly weights: NativeArray<Float32Array>;
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
    this.#session = owned.own(new Session(weightsGraph(), session));
    const memory = (): BatchMemory => ({
      logits: owned.own(nativeArray(Float32Array, rowsPerBatch * vocabSize)),
      weights: owned.own(nativeArray(Float32Array, rowsPerBatch * vocabSize)),
      temperatures: owned.own(nativeArray(Float32Array, rowsPerBatch)),
    });
    this.#batches = [memory(), memory()];
  }

  /** The batch that follows. Its contents are valid until the batch after the next. */
  batch(nth: number): Batch {
    const { logits, weights, temperatures } = this.#memory(nth);
    return {
      logitsOf: (row) => nthRow(logits.values, this.#vocabSize, row),
      weightsOf: (row) => nthRow(weights.values, this.#vocabSize, row),
      setTemperature: (row, temperature) => {
        temperatures.values[row] = Math.min(temperature, maxTemperature);
      },
    };
  }

  /** Computes the weights of a batch. One run at a time. */
  async run(nth: number, numRows: number): Promise<void> {
    const { logits, weights, temperatures } = this.#memory(nth);
    const shape = [numRows, this.#vocabSize];
    const session = this.#session;
    session.bindInput('rows', { buffer: logits.buffer, type: 'float32', shape });
    session.bindInput('temperature', { buffer: temperatures.buffer, type: 'float32', shape: [numRows, 1] });
    session.bindOutput('weights', { buffer: weights.buffer, type: 'float32', shape });
    await session.run();
  }

  terminate(): void {
    this.#session.terminate();
  }

  #memory(nth: number): BatchMemory {
    return this.#batches[nth % 2 === 0 ? 0 : 1];
  }
}
