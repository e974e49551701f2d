import { blockCopyGraph, type ComputeType, copyNames } from '../model/index.ts';
import {
  type DeviceBuffer,
  elementBytes,
  type NativeArray,
  nativeArray,
  type Resources,
  Session,
  type SessionOptions,
} from './ort/index.ts';

/** Memory of a device: parts that are divided into blocks of the same size. */
export interface Blocks {
  readonly parts: readonly { readonly name: string; readonly buffer: DeviceBuffer }[];
  /** Elements per block. */
  readonly blockSize: number;
  readonly type: ComputeType;
}

export interface BlockCopierOptions {
  readonly maxBlocks: number;
  readonly session: SessionOptions;
  /** Becomes the owner of the copier's session and host memory. */
  readonly owned: Resources;
}

/** Copies blocks within the memory of a device, from a fixed source to a fixed target. */
export class BlockCopier {
  readonly #session: Session;
  readonly #from: NativeArray<Int32Array>;
  readonly #to: NativeArray<Int32Array>;
  #numBlocks = 0;

  /** @param options.maxBlocks that one run copies in each part */
  constructor(source: Blocks, target: Blocks, { maxBlocks, session, owned }: BlockCopierOptions) {
    const names = source.parts.map(({ name }) => name);
    this.#session = owned.own(new Session(blockCopyGraph(names, source.type), session));
    for (const { name, buffer } of source.parts) {
      this.#session.bindInput(copyNames(name).source, tensorOf(source, buffer));
    }
    for (const { name, buffer } of target.parts) {
      this.#session.bindInput(copyNames(name).target, tensorOf(target, buffer));
      this.#session.bindOutput(copyNames(name).copied, tensorOf(target, buffer));
    }
    // Read as little-endian int64: the upper halves stay zero, and no number has to become a BigInt.
    this.#from = owned.own(nativeArray(Int32Array, 2 * maxBlocks));
    this.#to = owned.own(nativeArray(Int32Array, 2 * maxBlocks));
  }

  /** Adds consecutive blocks to the next copy. */
  add(from: number, to: number, count: number): void {
    for (let i = 0; i < count; i++) {
      this.#from.values[2 * this.#numBlocks] = from + i;
      this.#to.values[2 * this.#numBlocks++] = to + i;
    }
  }

  /** Copies the blocks that were added. */
  async run(): Promise<void> {
    const count = this.#numBlocks;
    if (count === 0) return;
    this.#numBlocks = 0;
    this.#session.bindInput('from', { buffer: this.#from.buffer, type: 'int64', shape: [count] });
    this.#session.bindInput('to', { buffer: this.#to.buffer, type: 'int64', shape: [count, 1] });
    await this.#session.run();
  }
}

function tensorOf({ blockSize, type }: Blocks, buffer: DeviceBuffer) {
  return { buffer, type, shape: [buffer.byteLength / elementBytes[type] / blockSize, blockSize] };
}
