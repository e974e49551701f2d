import type { SlotMove } from '../core/index.ts';
import { type AttentionGroup, zerosGraph } from '../model/index.ts';
import { BlockCopier, type Blocks } from './block-copier.ts';
import { type KvCache, type KvCacheShape, noRoom, partNames } from './kv-cache.ts';
import {
  type Device,
  type DeviceBuffer,
  elementBytes,
  nativeArray,
  Resources,
  Session,
  type SessionOptions,
} from './ort/index.ts';
import type { GraphRun, RowGroup } from './run-plan.ts';

/**
 * Tokens per copied block. In CUDA's ScatterND, one thread copies a whole block, element by element, so blocks should be small. In
 * WebGPU's, every thread compares all blocks with each other, so there should be few.
 */
const blockTokensOf = (device: Device | undefined) => (device?.kind === 'cuda' ? 1 : 16);

export interface DeviceKvCacheOptions {
  readonly shape: KvCacheShape;
  /** Tokens fed in one run. */
  readonly maxStepTokens: number;
  readonly session: SessionOptions;
  /** Becomes the owner of everything except the device's memory, which is freed with the model's session. */
  readonly owned: Resources;
  /** Tokens per copied block. The default depends on the device. */
  readonly blockTokens?: number | undefined;
}

/**
 * A cache in the memory of a device, which the host never reads. A tensor can only be bound from the beginning of its buffer, since
 * WebGPU's buffers have no addresses to add to. So decoding rows, which hold the first slots, attend in the cache itself. Prompts attend
 * in staging memory: their cached tokens are copied there before a run, and their new tokens are copied back to their slots after it.
 */
export class DeviceKvCache implements KvCache {
  readonly #session: Session;
  readonly #shape: KvCacheShape;
  readonly #blockTokens: number;
  readonly #cache: Blocks;
  readonly #staging: Blocks;
  /** For the row that stands in for an empty group. */
  readonly #idle: Blocks;
  readonly #mover: BlockCopier;
  readonly #loader: BlockCopier;
  readonly #storer: BlockCopier;
  readonly #bound = new Map<AttentionGroup, string>();
  readonly #options: SessionOptions;
  #isZeroed = false;

  /** @throws {ModelError} the device is out of memory */
  constructor(modelSession: Session, { shape, maxStepTokens, session, owned, ...options }: DeviceKvCacheOptions) {
    this.#session = modelSession;
    this.#shape = shape;
    const { numSlots, numKvHeads } = shape;
    const blockTokens = options.blockTokens ?? blockTokensOf(session.device);
    this.#blockTokens = blockTokens;
    const slotTokens = this.#slotBlocks * blockTokens;
    // Each of several prompts may need padding to a whole block; every one of them has a slot.
    const stepTokens = this.#blocksOf(maxStepTokens) * blockTokens + numSlots * blockTokens;
    const stagingTokens = Math.max(slotTokens, Math.min(stepTokens, numSlots * slotTokens));
    try {
      this.#cache = this.#allocate(numSlots * slotTokens);
      this.#staging = this.#allocate(stagingTokens);
      this.#idle = this.#allocate(blockTokens);
    } catch (error) {
      throw noRoom(shape, error);
    }
    const stagingBlocks = (stagingTokens / blockTokens) * numKvHeads;
    const slotBlocks = this.#slotBlocks * numKvHeads;
    this.#mover = new BlockCopier(this.#cache, this.#cache, { maxBlocks: numSlots * slotBlocks, session, owned });
    this.#loader = new BlockCopier(this.#cache, this.#staging, { maxBlocks: stagingBlocks, session, owned });
    this.#storer = new BlockCopier(this.#staging, this.#cache, { maxBlocks: stagingBlocks, session, owned });
    this.#options = session;
  }

  async move(moves: readonly SlotMove[]): Promise<void> {
    for (const { from, to, numTokens } of moves) {
      for (let head = 0; head < this.#shape.numKvHeads; head++) {
        this.#mover.add(this.#blockOf(from, head), this.#blockOf(to, head), this.#blocksOf(numTokens));
      }
    }
    await this.#mover.run();
  }

  async bind({ decode, prompt }: GraphRun): Promise<void> {
    await this.#zeroOnce();
    if (decode.firstSlot !== 0) throw new Error(`decoding rows begin at slot ${decode.firstSlot} instead of 0`);
    this.#bind('decode', this.#cache, { numRows: decode.rows.length, numBlocks: this.#slotBlocks });
    const numBlocks = this.#stagedBlocks(prompt);
    this.#bind('prompt', this.#staging, { numRows: prompt.rows.length, numBlocks });
    for (const [i, { row }] of prompt.rows.entries()) {
      for (let head = 0; head < this.#shape.numKvHeads; head++) {
        const staged = (i * this.#shape.numKvHeads + head) * numBlocks;
        this.#loader.add(this.#blockOf(row.slot, head), staged, this.#blocksOf(row.start));
      }
    }
    await this.#loader.run();
  }

  async settle({ prompt }: GraphRun): Promise<void> {
    const numBlocks = this.#stagedBlocks(prompt);
    for (const [i, { row }] of prompt.rows.entries()) {
      const first = Math.floor(row.start / this.#blockTokens);
      const count = this.#blocksOf(row.start + row.tokenIds.length) - first;
      for (let head = 0; head < this.#shape.numKvHeads; head++) {
        const staged = (i * this.#shape.numKvHeads + head) * numBlocks;
        this.#storer.add(staged + first, this.#blockOf(row.slot, head) + first, count);
      }
    }
    await this.#storer.run();
  }

  #bind(
    group: AttentionGroup,
    { parts }: Blocks,
    { numRows, numBlocks }: { readonly numRows: number; readonly numBlocks: number },
  ): void {
    const bound = `${numRows} x ${numBlocks}`;
    if (this.#bound.get(group) === bound) return;
    this.#bound.delete(group);
    const { numKvHeads, headSize, type } = this.#shape;
    const isIdle = numRows === 0;
    const shape = isIdle
      ? [1, numKvHeads, this.#blockTokens, headSize]
      : [numRows, numKvHeads, numBlocks * this.#blockTokens, headSize];
    for (const { name, buffer } of isIdle ? this.#idle.parts : parts) {
      this.#session.bindInput(`${group}.past.${name}`, { buffer, type, shape });
      this.#session.bindOutput(`${group}.present.${name}`, { buffer, type, shape });
    }
    this.#bound.set(group, bound);
  }

  #allocate(numTokens: number): Blocks {
    const { numKvHeads, headSize, type } = this.#shape;
    const bytes = numTokens * numKvHeads * headSize * elementBytes[type];
    const allocated = (name: string): { name: string; buffer: DeviceBuffer } => ({
      name,
      buffer: this.#session.allocate(bytes),
    });
    return { parts: partNames(this.#shape).map(allocated), blockSize: this.#blockTokens * headSize, type };
  }

  /** Index of the first block of a head in a slot. */
  #blockOf(slot: number, head: number): number {
    return (slot * this.#shape.numKvHeads + head) * this.#slotBlocks;
  }

  /** Blocks of one head in a slot. */
  get #slotBlocks(): number {
    return this.#blocksOf(this.#shape.maxModelLen);
  }

  /** Blocks of one head of a row in staging memory. */
  #stagedBlocks({ rows, width }: RowGroup): number {
    return this.#blocksOf(Math.max(0, ...rows.map(({ row }) => row.start)) + width);
  }

  #blocksOf(numTokens: number): number {
    return Math.ceil(numTokens / this.#blockTokens);
  }

  /** Fresh device memory may hold NaN, which spoils attention even where its weight is zero. */
  async #zeroOnce(): Promise<void> {
    if (this.#isZeroed) return;
    const owned = new Resources();
    try {
      const zeros = owned.own(new Session(zerosGraph(this.#shape.type), this.#options));
      const shape = owned.own(nativeArray(BigInt64Array, 2));
      for (const { parts, blockSize, type } of [this.#cache, this.#staging, this.#idle]) {
        for (const { buffer } of parts) {
          const numBlocks = buffer.byteLength / elementBytes[type] / blockSize;
          shape.values.set([BigInt(numBlocks), BigInt(blockSize)]);
          zeros.bindInput('shape', { buffer: shape.buffer, type: 'int64', shape: [2] });
          zeros.bindOutput('zeros', { buffer, type, shape: [numBlocks, blockSize] });
          await zeros.run();
        }
      }
    } finally {
      owned.free();
    }
    this.#isZeroed = true;
  }
}
