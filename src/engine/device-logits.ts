import type { SampledToken } from '../core/index.ts';
import { likeliestGraph, takeRowsGraph } from '../model/index.ts';
import { maxLikeliest, type TokenSampler } from '../sampling/index.ts';
import { type DrawnRow, drawFrom, type Logits, type LogitsShape, nthRow } from './logits.ts';
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

/** Logits in the memory of a device. Only what sampling needs is copied to the host. The device's memory is freed with the model's session. */
export class DeviceLogits implements Logits {
  readonly #modelSession: Session;
  readonly #vocabSize: number;
  readonly #buffer: DeviceBuffer;
  readonly #likeliest: LikeliestReader;
  readonly #whole: RowReader;

  constructor(modelSession: Session, shape: LogitsShape, options: ReaderOptions) {
    const { maxRows, vocabSize } = shape;
    this.#modelSession = modelSession;
    this.#vocabSize = vocabSize;
    this.#buffer = modelSession.allocate(maxRows * vocabSize * Float32Array.BYTES_PER_ELEMENT);
    this.#likeliest = new LikeliestReader(this.#buffer, shape, options);
    this.#whole = new RowReader(this.#buffer, shape, options);
  }

  bind(numRows: number): void {
    const shape = [numRows, this.#vocabSize];
    this.#modelSession.bindOutput('logits', { buffer: this.#buffer, type: 'float32', shape });
  }

  async draw(rows: readonly DrawnRow[], sampler: TokenSampler): Promise<readonly (SampledToken | undefined)[]> {
    const drawn = new Map<DrawnRow, SampledToken | undefined>();
    const needFew = rows.filter(({ sampling }) => sampler.needs(sampling) === 'few');
    if (needFew.length > 0) {
      for (const [nth, likeliest] of (await this.#likeliest.read(needFew)).entries()) {
        const row = needFew[nth];
        const token = row && sampler.sampleAmong(likeliest, row.sampling);
        if (row !== undefined && token !== undefined) drawn.set(row, token);
      }
    }
    const others = rows.filter((row) => !drawn.has(row));
    if (others.length > 0) {
      const values = await this.#whole.read(others);
      const tokens = await drawFrom(others, (_, nth) => nthRow(values, this.#vocabSize, nth), sampler);
      for (const [nth, row] of others.entries()) drawn.set(row, tokens[nth]);
    }
    return rows.map((row) => drawn.get(row));
  }
}

/** Copies whole rows to the host. */
class RowReader {
  readonly #session: Session;
  readonly #vocabSize: number;
  readonly #index: NativeArray<BigInt64Array>;
  readonly #taken: NativeArray<Float32Array>;

  constructor(rows: DeviceBuffer, { maxRows, vocabSize }: LogitsShape, { session, owned }: ReaderOptions) {
    this.#session = owned.own(new Session(takeRowsGraph(), session));
    this.#session.bindInput('rows', { buffer: rows, type: 'float32', shape: [maxRows, vocabSize] });
    this.#vocabSize = vocabSize;
    this.#index = owned.own(nativeArray(BigInt64Array, maxRows));
    this.#taken = owned.own(nativeArray(Float32Array, maxRows * vocabSize));
  }

  /** @returns the rows one after another, valid until the next call */
  async read(rows: readonly DrawnRow[]): Promise<Float32Array> {
    this.#index.values.set(rows.map(({ at }) => BigInt(at)));
    this.#session.bindInput('index', { buffer: this.#index.buffer, type: 'int64', shape: [rows.length] });
    const shape = [rows.length, this.#vocabSize];
    this.#session.bindOutput('taken', { buffer: this.#taken.buffer, type: 'float32', shape });
    await this.#session.run();
    return this.#taken.values;
  }
}

/** Copies the likeliest tokens of rows to the host. */
class LikeliestReader {
  readonly #session: Session;
  readonly #count: number;
  readonly #index: NativeArray<BigInt64Array>;
  readonly #temperature: NativeArray<Float32Array>;
  readonly #logits: NativeArray<Float32Array>;
  readonly #ids: NativeArray<BigInt64Array>;
  readonly #total: NativeArray<Float32Array>;

  constructor(rows: DeviceBuffer, { maxRows, vocabSize }: LogitsShape, { session, owned }: ReaderOptions) {
    this.#count = Math.min(maxLikeliest, vocabSize);
    this.#session = owned.own(new Session(likeliestGraph(this.#count), session));
    this.#session.bindInput('rows', { buffer: rows, type: 'float32', shape: [maxRows, vocabSize] });
    this.#index = owned.own(nativeArray(BigInt64Array, maxRows));
    this.#temperature = owned.own(nativeArray(Float32Array, maxRows));
    this.#logits = owned.own(nativeArray(Float32Array, maxRows * this.#count));
    this.#ids = owned.own(nativeArray(BigInt64Array, maxRows * this.#count));
    this.#total = owned.own(nativeArray(Float32Array, maxRows));
  }

  async read(rows: readonly DrawnRow[]) {
    const count = this.#count;
    this.#index.values.set(rows.map(({ at }) => BigInt(at)));
    this.#temperature.values.set(rows.map(({ sampling }) => sampling.params.temperature));
    const session = this.#session;
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
