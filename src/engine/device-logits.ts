import type { RowSampling } from '../core/index.ts';
import { likeliestGraph, takeRowsGraph } from '../model/index.ts';
import { type LikeliestTokens, maxLikeliest } from '../sampling/index.ts';
import { type HostRows, type Logits, type LogitsShape, nthRow } from './logits.ts';
import {
  type DeviceBuffer,
  type NativeArray,
  nativeArray,
  type Resources,
  Session,
  type SessionOptions,
} from './ort/index.ts';

interface ReaderOptions {
  readonly session: SessionOptions;
  /** Becomes the owner of the readers' sessions and host memory. */
  readonly owned: Resources;
}

/** Rows in the memory of a device. */
interface DeviceRows {
  readonly buffer: DeviceBuffer;
  readonly numRows: number;
}

/** A row of which the most likely tokens are wanted. */
interface LikeliestRow {
  readonly at: number;
  readonly sampling: RowSampling;
}

/** Logits in the memory of a device. Only what sampling needs is copied to the host. The device's memory is freed with the model's session. */
export class DeviceLogits implements Logits {
  readonly #modelSession: Session;
  readonly #shape: LogitsShape;
  readonly #likeliest: LikeliestReader;
  readonly #whole: RowReader;
  /** Grows with the first run that scores a prompt. */
  #rows: DeviceRows;

  constructor(modelSession: Session, shape: LogitsShape, options: ReaderOptions) {
    this.#modelSession = modelSession;
    this.#shape = shape;
    this.#rows = this.#allocate(shape.maxDrawn);
    this.#likeliest = new LikeliestReader(shape, options);
    this.#whole = new RowReader(shape, options);
  }

  /** @throws {OrtError} the device has no room for the logits of a scored prompt */
  bind(numRows: number): void {
    if (numRows > this.#rows.numRows) this.#rows = this.#allocate(this.#shape.maxRows);
    const shape = [numRows, this.#shape.vocabSize];
    this.#modelSession.bindOutput('logits', { buffer: this.#rows.buffer, type: 'float32', shape });
  }

  read(ats: readonly number[]): Promise<HostRows> {
    return this.#whole.read(this.#rows, ats);
  }

  readLikeliest(rows: readonly LikeliestRow[]): Promise<LikeliestTokens[]> {
    return this.#likeliest.read(this.#rows, rows);
  }

  #allocate(numRows: number): DeviceRows {
    const bytes = numRows * this.#shape.vocabSize * Float32Array.BYTES_PER_ELEMENT;
    return { buffer: this.#modelSession.allocate(bytes), numRows };
  }
}

/** Copies whole rows to the host. */
class RowReader {
  readonly #session: Session;
  readonly #vocabSize: number;
  readonly #index: NativeArray<BigInt64Array>;
  readonly #taken: NativeArray<Float32Array>;

  constructor({ maxRows, vocabSize }: LogitsShape, { session, owned }: ReaderOptions) {
    this.#session = owned.own(new Session(takeRowsGraph(), session));
    this.#vocabSize = vocabSize;
    this.#index = owned.own(nativeArray(BigInt64Array, maxRows));
    this.#taken = owned.own(nativeArray(Float32Array, maxRows * vocabSize));
  }

  async read({ buffer, numRows }: DeviceRows, ats: readonly number[]): Promise<HostRows> {
    const width = this.#vocabSize;
    this.#index.values.set(ats.map(BigInt));
    this.#session.bindInput('rows', { buffer, type: 'float32', shape: [numRows, width] });
    this.#session.bindInput('index', { buffer: this.#index.buffer, type: 'int64', shape: [ats.length] });
    const shape = [ats.length, width];
    this.#session.bindOutput('taken', { buffer: this.#taken.buffer, type: 'float32', shape });
    await this.#session.run();
    const places = new Map(ats.map((at, place) => [at, place]));
    return { array: this.#taken, placeOf: (at) => places.get(at) ?? Number.NaN };
  }
}

/** Copies the most likely tokens of rows to the host. */
class LikeliestReader {
  readonly #session: Session;
  readonly #vocabSize: number;
  readonly #count: number;
  readonly #index: NativeArray<BigInt64Array>;
  readonly #temperature: NativeArray<Float32Array>;
  readonly #logits: NativeArray<Float32Array>;
  readonly #ids: NativeArray<BigInt64Array>;
  readonly #total: NativeArray<Float32Array>;

  constructor({ maxDrawn: maxRows, vocabSize }: LogitsShape, { session, owned }: ReaderOptions) {
    this.#vocabSize = vocabSize;
    this.#count = Math.min(maxLikeliest, vocabSize);
    this.#session = owned.own(new Session(likeliestGraph(this.#count), session));
    this.#index = owned.own(nativeArray(BigInt64Array, maxRows));
    this.#temperature = owned.own(nativeArray(Float32Array, maxRows));
    this.#logits = owned.own(nativeArray(Float32Array, maxRows * this.#count));
    this.#ids = owned.own(nativeArray(BigInt64Array, maxRows * this.#count));
    this.#total = owned.own(nativeArray(Float32Array, maxRows));
  }

  async read({ buffer, numRows }: DeviceRows, rows: readonly LikeliestRow[]): Promise<LikeliestTokens[]> {
    const count = this.#count;
    this.#index.values.set(rows.map(({ at }) => BigInt(at)));
    this.#temperature.values.set(rows.map(({ sampling }) => sampling.params.temperature));
    const session = this.#session;
    session.bindInput('rows', { buffer, type: 'float32', shape: [numRows, this.#vocabSize] });
    session.bindInput('index', { buffer: this.#index.buffer, type: 'int64', shape: [rows.length] });
    session.bindInput('temperature', { buffer: this.#temperature.buffer, type: 'float32', shape: [rows.length, 1] });
    session.bindOutput('logits', { buffer: this.#logits.buffer, type: 'float32', shape: [rows.length, count] });
    session.bindOutput('ids', { buffer: this.#ids.buffer, type: 'int64', shape: [rows.length, count] });
    session.bindOutput('total', { buffer: this.#total.buffer, type: 'float32', shape: [rows.length, 1] });
    await session.run();
    return rows.map((_, nth) => ({
      logits: nthRow(this.#logits.values, count, nth),
      ids: this.#ids.values.subarray(nth * count, (nth + 1) * count),
      total: this.#total.values[nth] ?? 0,
    }));
  }
}
