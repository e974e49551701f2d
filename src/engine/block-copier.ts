import { blockCopyGraph, copyNames, type FloatType } from '../model/index.ts';
import { type DeviceBuffer, elementBytes, NativeBuffer, Session, type SessionOptions } from './ort/index.ts';

/** Memory of a device in parts that are all cut into the same blocks. */
export interface Blocks {
  readonly parts: readonly { readonly name: string; readonly buffer: DeviceBuffer }[];
  /** Elements of a block. */
  readonly blockSize: number;
  readonly type: FloatType;
}

/** Copies blocks within the memory of a device, from one place to another that stay the same. */
export class BlockCopier {
  readonly #session: Session;
  readonly #from: NativeBuffer;
  readonly #to: NativeBuffer;
  readonly #fromBlocks: BigInt64Array;
  readonly #toBlocks: BigInt64Array;
  #numBlocks = 0;

  /** @param maxBlocks that are copied at once, of each part */
  constructor(source: Blocks, target: Blocks, { maxBlocks, session }: { maxBlocks: number; session: SessionOptions }) {
    const names = source.parts.map(({ name }) => name);
    this.#session = new Session(blockCopyGraph(names, source.type), session);
    for (const { name, buffer } of source.parts) {
      this.#session.bindInput(copyNames(name).source, tensorOf(source, buffer));
    }
    for (const { name, buffer } of target.parts) {
      this.#session.bindInput(copyNames(name).target, tensorOf(target, buffer));
      this.#session.bindOutput(copyNames(name).copied, tensorOf(target, buffer));
    }
    this.#from = new NativeBuffer(maxBlocks * BigInt64Array.BYTES_PER_ELEMENT);
    this.#to = new NativeBuffer(maxBlocks * BigInt64Array.BYTES_PER_ELEMENT);
    this.#fromBlocks = new BigInt64Array(this.#from.bytes);
    this.#toBlocks = new BigInt64Array(this.#to.bytes);
  }

  /** Adds neighbouring blocks to what is copied next. */
  add(from: number, to: number, count: number): void {
    for (let i = 0; i < count; i++) {
      this.#fromBlocks[this.#numBlocks] = BigInt(from + i);
      this.#toBlocks[this.#numBlocks++] = BigInt(to + i);
    }
  }

  /** Copies what was added. */
  async run(): Promise<void> {
    const count = this.#numBlocks;
    if (count === 0) return;
    this.#numBlocks = 0;
    this.#session.bindInput('from', { buffer: this.#from, type: 'int64', shape: [count] });
    this.#session.bindInput('to', { buffer: this.#to, type: 'int64', shape: [count, 1] });
    await this.#session.run();
  }

  free(): void {
    this.#session.release();
    this.#from.free();
    this.#to.free();
  }
}

function tensorOf({ blockSize, type }: Blocks, buffer: DeviceBuffer) {
  return { buffer, type, shape: [buffer.byteLength / elementBytes[type] / blockSize, blockSize] };
}
