import { takeRowsGraph } from '../model/index.ts';
import { NativeBuffer, Session, type SessionOptions } from './ort/index.ts';

export interface LogitsShape {
  readonly maxRows: number;
  readonly vocabSize: number;
}

/** Where a run leaves its logits, float32 [rows, vocabulary]. */
export interface Logits {
  /** Binds the output of the next run. */
  bind(numRows: number): void;
  /** Of some rows of the last run; to be used before the next. */
  rows(indices: readonly number[]): Promise<readonly Float32Array[]>;
  free(): void;
}

/** In the memory of the host. */
export class HostLogits implements Logits {
  readonly #session: Session;
  readonly #vocabSize: number;
  readonly #buffer: NativeBuffer;
  readonly #values: Float32Array;

  constructor(session: Session, { maxRows, vocabSize }: LogitsShape) {
    this.#session = session;
    this.#vocabSize = vocabSize;
    this.#buffer = new NativeBuffer(maxRows * vocabSize * Float32Array.BYTES_PER_ELEMENT);
    this.#values = new Float32Array(this.#buffer.bytes);
  }

  bind(numRows: number): void {
    this.#session.bindOutput('logits', { buffer: this.#buffer, type: 'float32', shape: [numRows, this.#vocabSize] });
  }

  async rows(indices: readonly number[]): Promise<readonly Float32Array[]> {
    return indices.map((index) => rowOf(this.#values, this.#vocabSize, index));
  }

  free(): void {
    this.#buffer.free();
  }
}

/** In the memory of a device: only rows that somebody asks for are brought to the host. */
export class DeviceLogits implements Logits {
  readonly #vocabSize: number;
  readonly #bindOutput: (numRows: number) => void;
  readonly #taking: Session;
  readonly #index: NativeBuffer;
  readonly #taken: NativeBuffer;

  constructor(modelSession: Session, { maxRows, vocabSize }: LogitsShape, session: SessionOptions) {
    this.#vocabSize = vocabSize;
    const rowBytes = vocabSize * Float32Array.BYTES_PER_ELEMENT;
    const buffer = modelSession.allocate(maxRows * rowBytes);
    const tensor = (numRows: number) => ({ buffer, type: 'float32', shape: [numRows, vocabSize] }) as const;
    this.#bindOutput = (numRows) => modelSession.bindOutput('logits', tensor(numRows));
    this.#taking = new Session(takeRowsGraph(), session);
    this.#taking.bindInput('rows', tensor(maxRows));
    this.#index = new NativeBuffer(maxRows * BigInt64Array.BYTES_PER_ELEMENT);
    this.#taken = new NativeBuffer(maxRows * rowBytes);
  }

  bind(numRows: number): void {
    this.#bindOutput(numRows);
  }

  async rows(indices: readonly number[]): Promise<readonly Float32Array[]> {
    const count = indices.length;
    if (count === 0) return [];
    new BigInt64Array(this.#index.bytes).set(indices.map(BigInt));
    this.#taking.bindInput('index', { buffer: this.#index, type: 'int64', shape: [count] });
    this.#taking.bindOutput('taken', { buffer: this.#taken, type: 'float32', shape: [count, this.#vocabSize] });
    await this.#taking.run();
    const values = new Float32Array(this.#taken.bytes);
    return indices.map((_, i) => rowOf(values, this.#vocabSize, i));
  }

  free(): void {
    this.#taking.release();
    this.#index.free();
    this.#taken.free();
  }
}

function rowOf(values: Float32Array, vocabSize: number, index: number): Float32Array {
  return values.subarray(index * vocabSize, (index + 1) * vocabSize);
}
