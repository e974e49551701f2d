import { candidatesGraph, takeRowsGraph } from '../model/index.ts';
import { type DrawnRow, drawFrom, type Logits, type LogitsShape, nthRow } from './logits.ts';
import { type DeviceBuffer, type NativeArray, nativeArray, Session, type SessionOptions } from './ort/index.ts';
import type { TokenSampler } from './sampler.ts';

/** So many of the likeliest tokens are brought of a row that does not need all: mostly more than top-k and top-p keep. */
const maxCandidates = 512;

/** Logits in the memory of a device: of the rows that are drawn from, only what is needed comes to the host. */
export class DeviceLogits implements Logits {
  readonly #modelSession: Session;
  readonly #vocabSize: number;
  readonly #buffer: DeviceBuffer;
  readonly #likeliest: CandidateReader;
  readonly #whole: RowReader;

  constructor(modelSession: Session, shape: LogitsShape, session: SessionOptions) {
    const { maxRows, vocabSize } = shape;
    this.#modelSession = modelSession;
    this.#vocabSize = vocabSize;
    this.#buffer = modelSession.allocate(maxRows * vocabSize * Float32Array.BYTES_PER_ELEMENT);
    this.#likeliest = new CandidateReader(this.#buffer, shape, session);
    this.#whole = new RowReader(this.#buffer, shape, session);
  }

  bind(numRows: number): void {
    const shape = [numRows, this.#vocabSize];
    this.#modelSession.bindOutput('logits', { buffer: this.#buffer, type: 'float32', shape });
  }

  async draw(rows: readonly DrawnRow[], sampler: TokenSampler): Promise<readonly number[]> {
    const drawn = new Map<DrawnRow, number>();
    const needFew = rows.filter(({ sampling: { topK, topP } }) => (topK > 0 ? topK < maxCandidates : topP < 1));
    if (sampler.sampleAmong !== undefined && needFew.length > 0) {
      for (const [nth, candidates] of (await this.#likeliest.read(needFew)).entries()) {
        const row = needFew[nth];
        const token = row && sampler.sampleAmong(candidates, row.sampling, row.tokenIndex);
        if (row !== undefined && token !== undefined) drawn.set(row, token);
      }
    }
    const others = rows.filter((row) => !drawn.has(row));
    if (others.length > 0) {
      const values = await this.#whole.read(others);
      const tokens = await drawFrom(others, (_, nth) => nthRow(values, this.#vocabSize, nth), sampler);
      for (const [nth, row] of others.entries()) drawn.set(row, tokens[nth] ?? 0);
    }
    return rows.map((row) => drawn.get(row) ?? 0);
  }

  /** The device's memory is freed with the session that it is from. */
  free(): void {
    this.#likeliest.free();
    this.#whole.free();
  }
}

/** Brings whole rows. */
class RowReader {
  readonly #session: Session;
  readonly #vocabSize: number;
  readonly #index: NativeArray<BigInt64Array>;
  readonly #taken: NativeArray<Float32Array>;

  constructor(rows: DeviceBuffer, { maxRows, vocabSize }: LogitsShape, options: SessionOptions) {
    this.#session = new Session(takeRowsGraph(), options);
    this.#session.bindInput('rows', { buffer: rows, type: 'float32', shape: [maxRows, vocabSize] });
    this.#vocabSize = vocabSize;
    this.#index = nativeArray(BigInt64Array, maxRows);
    this.#taken = nativeArray(Float32Array, maxRows * vocabSize);
  }

  /** @returns one row behind the other, until the next are read */
  async read(rows: readonly DrawnRow[]): Promise<Float32Array> {
    this.#index.values.set(rows.map(({ at }) => BigInt(at)));
    this.#session.bindInput('index', { buffer: this.#index.buffer, type: 'int64', shape: [rows.length] });
    const shape = [rows.length, this.#vocabSize];
    this.#session.bindOutput('taken', { buffer: this.#taken.buffer, type: 'float32', shape });
    await this.#session.run();
    return this.#taken.values;
  }

  free(): void {
    this.#session.release();
    for (const { buffer } of [this.#index, this.#taken]) buffer.free();
  }
}

/** Brings the likeliest tokens of rows. */
class CandidateReader {
  readonly #session: Session;
  readonly #count: number;
  readonly #index: NativeArray<BigInt64Array>;
  readonly #temperature: NativeArray<Float32Array>;
  readonly #logits: NativeArray<Float32Array>;
  readonly #ids: NativeArray<BigInt64Array>;
  readonly #total: NativeArray<Float32Array>;

  constructor(rows: DeviceBuffer, { maxRows, vocabSize }: LogitsShape, options: SessionOptions) {
    this.#count = Math.min(maxCandidates, vocabSize);
    this.#session = new Session(candidatesGraph(this.#count), options);
    this.#session.bindInput('rows', { buffer: rows, type: 'float32', shape: [maxRows, vocabSize] });
    this.#index = nativeArray(BigInt64Array, maxRows);
    this.#temperature = nativeArray(Float32Array, maxRows);
    this.#logits = nativeArray(Float32Array, maxRows * this.#count);
    this.#ids = nativeArray(BigInt64Array, maxRows * this.#count);
    this.#total = nativeArray(Float32Array, maxRows);
  }

  async read(rows: readonly DrawnRow[]) {
    const count = this.#count;
    this.#index.values.set(rows.map(({ at }) => BigInt(at)));
    this.#temperature.values.set(rows.map(({ sampling }) => sampling.temperature));
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

  free(): void {
    this.#session.release();
    for (const { buffer } of [this.#index, this.#temperature, this.#logits, this.#ids, this.#total]) buffer.free();
  }
}
