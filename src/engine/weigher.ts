import { weightsGraph } from '../model/index.ts';
import { numSegmentsOf, segmentSize, type WeighedRow } from '../sampling/index.ts';
import { nthRow, type RowRange } from './logits.ts';
import { type NativeArray, nativeArray, type Resources, Session, type SessionOptions } from './ort/index.ts';

/** Logits whose weights are computed together: few enough to be adjusted in one turn of the event loop, and 10 rows of 50,000 tokens. */
const logitsPerBatch = 500_000;
const maxRowsPerBatch = 50;

/** Far above where all tokens are equally likely, and within float32. */
const maxTemperature = 1e30;

interface Sessions {
  /** For rows whose temperature is 1. */
  readonly plain: Session;
  readonly scaled: Session;
}

/** Memory of one batch. */
interface BatchMemory {
  readonly copies: NativeArray<Float32Array>;
  readonly temperatures: NativeArray<Float32Array>;
  readonly weights: NativeArray<Float32Array>;
  readonly sums: NativeArray<Float32Array>;
  readonly maxima: NativeArray<Float32Array>;
}

/**
 * Computes the softmax of logits on the CPU, off the event loop, and several times as fast as JavaScript could. There are two batches, so
 * that the event loop can work on one while the other is computed.
 */
export class Weigher {
  /** Rows whose weights are computed together. */
  readonly rowsPerBatch: number;
  readonly #sessions: Sessions;
  readonly #batches: readonly [Batch, Batch];

  /** @param owned becomes the owner of the sessions and the memory */
  constructor(vocabSize: number, options: SessionOptions, owned: Resources) {
    this.rowsPerBatch = Math.max(1, Math.min(Math.floor(logitsPerBatch / vocabSize), maxRowsPerBatch));
    const sessionOf = (scaled: boolean) =>
      owned.own(new Session(weightsGraph({ vocabSize, segmentSize, scaled }), options));
    const rowsOf = (width: number) => owned.own(nativeArray(Float32Array, this.rowsPerBatch * width));
    this.#sessions = { plain: sessionOf(false), scaled: sessionOf(true) };
    const batch = () =>
      new Batch(vocabSize, this.#sessions, {
        copies: rowsOf(vocabSize),
        temperatures: rowsOf(1),
        weights: rowsOf(vocabSize),
        sums: rowsOf(numSegmentsOf(vocabSize)),
        maxima: rowsOf(numSegmentsOf(vocabSize)),
      });
    this.#batches = [batch(), batch()];
  }

  /** The nth batch. Batch nth + 2 uses the same memory. */
  batch(nth: number): Batch {
    return this.#batches[nth % 2 === 0 ? 0 : 1];
  }

  terminate(): void {
    this.#sessions.plain.terminate();
    this.#sessions.scaled.terminate();
  }
}

/** A few rows on their way from logits to weights. */
export class Batch {
  readonly #vocabSize: number;
  readonly #sessions: Sessions;
  readonly #memory: BatchMemory;
  #rows: RowRange;
  #temperatures: readonly number[] = [];

  constructor(vocabSize: number, sessions: Sessions, memory: BatchMemory) {
    this.#vocabSize = vocabSize;
    this.#sessions = sessions;
    this.#memory = memory;
    this.#rows = { array: memory.copies, first: 0 };
  }

  /** Memory for logits that have to be copied: [rows, vocabulary]. */
  get copies(): NativeArray<Float32Array> {
    return this.#memory.copies;
  }

  /** @param rows of logits; they must stay as they are @param temperatures one per row */
  load(rows: RowRange, temperatures: readonly number[]): void {
    this.#rows = rows;
    this.#temperatures = temperatures;
  }

  /** Computes the weights of the rows. One run of all batches at a time. */
  async weigh(): Promise<void> {
    const numRows = this.#temperatures.length;
    if (numRows === 0) return;
    const { array, first } = this.#rows;
    const { weights, sums, maxima } = this.#memory;
    const session = this.#session();
    const shape = [numRows, this.#vocabSize];
    const byteOffset = first * this.#vocabSize * Float32Array.BYTES_PER_ELEMENT;
    session.bindInput('rows', { buffer: array.buffer, type: 'float32', byteOffset, shape });
    session.bindOutput('weights', { buffer: weights.buffer, type: 'float32', shape });
    const perSegment = { type: 'float32', shape: [numRows, numSegmentsOf(this.#vocabSize), 1] } as const;
    session.bindOutput('sums', { buffer: sums.buffer, ...perSegment });
    session.bindOutput('maxima', { buffer: maxima.buffer, ...perSegment });
    await session.run();
  }

  /** Valid after {@link weigh}. */
  rowOf(nth: number): WeighedRow {
    const { array, first } = this.#rows;
    const { weights, sums, maxima } = this.#memory;
    const numSegments = numSegmentsOf(this.#vocabSize);
    return {
      logits: nthRow(array.values, this.#vocabSize, first + nth),
      weights: nthRow(weights.values, this.#vocabSize, nth),
      sums: nthRow(sums.values, numSegments, nth),
      maxima: nthRow(maxima.values, numSegments, nth),
    };
  }

  /** The session for the temperatures, with these bound. */
  #session(): Session {
    const temperatures = this.#temperatures;
    if (temperatures.every((temperature) => temperature === 1)) return this.#sessions.plain;
    const { buffer, values } = this.#memory.temperatures;
    values.set(temperatures.map((temperature) => Math.min(temperature, maxTemperature)));
    const { scaled } = this.#sessions;
    scaled.bindInput('temperature', { buffer, type: 'float32', shape: [temperatures.length, 1] });
    return scaled;
  }
}
