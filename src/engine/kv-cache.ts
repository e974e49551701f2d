import { ModelError, messageOf, type SlotMove } from '../core/index.ts';
import type { OptConfig } from '../model/index.ts';
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

/** What the cache takes when every slot is full; pages are only taken from the system as they are written. */
export function kvCacheBytes({ numLayers, numHeads, headDim, numSlots, maxModelLen }: KvCacheShape): number {
  return 2 * numLayers * numSlots * numHeads * maxModelLen * headDim * bytesPerElement;
}

/** Keys and values of every slot: per layer two buffers float32 [slots, heads, maxModelLen, head size]. */
export class KvCache {
  readonly #shape: KvCacheShape;
  readonly #parts: { readonly past: string; readonly present: string; readonly buffer: NativeBuffer }[] = [];
  #bound: { readonly firstSlot: number; readonly numRows: number } | undefined;

  /** @throws {ModelError} the system has no room for it */
  constructor(shape: KvCacheShape) {
    this.#shape = shape;
    try {
      for (let layer = 0; layer < shape.numLayers; layer++) {
        for (const part of ['key', 'value']) {
          const buffer = new NativeBuffer(shape.numSlots * this.#slotBytes);
          this.#parts.push({ past: `past_key_values.${layer}.${part}`, present: `present.${layer}.${part}`, buffer });
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

  /** Binds neighbouring slots as past and as present, so that a run appends to them in place. */
  bind(session: Session, firstSlot: number, numRows: number): void {
    if (this.#bound?.firstSlot === firstSlot && this.#bound.numRows === numRows) return;
    this.#bound = undefined;
    const { numHeads, maxModelLen, headDim } = this.#shape;
    const shape = [numRows, numHeads, maxModelLen, headDim];
    for (const { past, present, buffer } of this.#parts) {
      const tensor = { buffer, byteOffset: firstSlot * this.#slotBytes, type: 'float32', shape } as const;
      session.bindInput(past, tensor);
      session.bindOutput(present, tensor);
    }
    this.#bound = { firstSlot, numRows };
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
