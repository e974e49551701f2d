import { ModelError, messageOf, type SlotMove } from '../core/index.ts';
import type { AttentionGroup, OptConfig } from '../model/index.ts';
import { NativeBuffer, type Session } from './ort/index.ts';

const bytesPerElement = 4;

export interface KvCacheShape {
  readonly numLayers: number;
  readonly numHeads: number;
  readonly headDim: number;
  readonly numSlots: number;
  readonly maxModelLen: number;
}

export function kvCacheShape(config: OptConfig, numSlots: number, maxModelLen: number): KvCacheShape {
  const { numLayers, numHeads, headDim } = config;
  return { numLayers, numHeads, headDim, numSlots, maxModelLen };
}

/** What the cache takes when every slot is full, without the slot that nobody has, of which only the first token is written. Pages are taken from the system as they are written. */
export function kvCacheBytes({ numLayers, numHeads, headDim, numSlots, maxModelLen }: KvCacheShape): number {
  return 2 * numLayers * numSlots * numHeads * maxModelLen * headDim * bytesPerElement;
}

/** The slots that a group of rows attends in. */
export interface SlotRange {
  readonly firstSlot: number;
  readonly numRows: number;
}

/**
 * Keys and values of every slot: per layer two buffers float32 [slots, heads, maxModelLen, head size].
 * Behind them is one slot more, for the row of a group that would be empty.
 */
export class KvCache {
  readonly #shape: KvCacheShape;
  readonly #parts: { readonly name: string; readonly buffer: NativeBuffer }[] = [];
  readonly #bound = new Map<AttentionGroup, SlotRange>();

  /** @throws {ModelError} the system has no room for it */
  constructor(shape: KvCacheShape) {
    this.#shape = shape;
    try {
      for (let layer = 0; layer < shape.numLayers; layer++) {
        for (const part of ['key', 'value']) {
          this.#parts.push({
            name: `${layer}.${part}`,
            buffer: new NativeBuffer((shape.numSlots + 1) * this.#slotBytes),
          });
        }
      }
    } catch (error) {
      this.free();
      const mebibytes = Math.round(kvCacheBytes(shape) / 2 ** 20);
      throw new ModelError(
        `there is no room for a KV cache of ${mebibytes} MiB (${messageOf(error)}): lower --max-batch-size or --max-model-len`,
      );
    }
  }

  /** Binds neighbouring slots as a group's past and present, so that a run appends to them in place; without rows, the slot that nobody has. */
  bind(session: Session, group: AttentionGroup, rows: SlotRange): void {
    const { firstSlot, numRows } = rows.numRows > 0 ? rows : { firstSlot: this.#shape.numSlots, numRows: 1 };
    const bound = this.#bound.get(group);
    if (bound?.firstSlot === firstSlot && bound.numRows === numRows) return;
    this.#bound.delete(group);
    const { numHeads, maxModelLen, headDim } = this.#shape;
    const shape = [numRows, numHeads, maxModelLen, headDim];
    for (const { name, buffer } of this.#parts) {
      const tensor = { buffer, byteOffset: firstSlot * this.#slotBytes, type: 'float32', shape } as const;
      session.bindInput(`${group}.past.${name}`, tensor);
      session.bindOutput(`${group}.present.${name}`, tensor);
    }
    this.#bound.set(group, { firstSlot, numRows });
  }

  /** Copies what a slot holds to another. */
  move({ from, to, numTokens }: SlotMove): void {
    const { numHeads, headDim } = this.#shape;
    const headBytes = this.#slotBytes / numHeads;
    const usedBytes = numTokens * headDim * bytesPerElement;
    for (const { buffer } of this.#parts) {
      for (let head = 0; head < numHeads; head++) {
        const within = head * headBytes;
        buffer.copyWithin(to * this.#slotBytes + within, from * this.#slotBytes + within, usedBytes);
      }
    }
  }

  free(): void {
    for (const { buffer } of this.#parts) buffer.free();
  }

  get #slotBytes(): number {
    const { numHeads, maxModelLen, headDim } = this.#shape;
    return numHeads * maxModelLen * headDim * bytesPerElement;
  }
}
