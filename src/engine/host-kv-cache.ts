import type { SlotMove } from '../core/index.ts';
import type { AttentionGroup } from '../model/index.ts';
import { type KvCache, type KvCacheShape, noRoom, partNames } from './kv-cache.ts';
import { elementBytes, NativeBuffer, type Resources, type Session } from './ort/index.ts';
import type { GraphRun } from './run-plan.ts';

/** The slots of a group of rows. */
interface SlotRange {
  readonly firstSlot: number;
  readonly numRows: number;
}

/**
 * A cache in the memory of the host, where any range of consecutive slots can be bound in place.
 * One extra slot at the end is for the row that stands in for an empty group.
 */
export class HostKvCache implements KvCache {
  readonly #session: Session;
  readonly #shape: KvCacheShape;
  readonly #parts: { readonly name: string; readonly buffer: NativeBuffer }[] = [];
  readonly #bound = new Map<AttentionGroup, SlotRange>();

  /** @throws {ModelError} the system is out of memory */
  constructor(session: Session, shape: KvCacheShape, owned: Resources) {
    this.#session = session;
    this.#shape = shape;
    try {
      for (const name of partNames(shape)) {
        this.#parts.push({ name, buffer: owned.own(new NativeBuffer((shape.numSlots + 1) * this.#slotBytes)) });
      }
    } catch (error) {
      throw noRoom(shape, error);
    }
  }

  move(moves: readonly SlotMove[]): undefined {
    for (const move of moves) this.#move(move);
  }

  bind(run: GraphRun): undefined {
    for (const group of ['decode', 'prompt'] as const) {
      const { firstSlot, rows } = run[group];
      this.#bind(group, { firstSlot, numRows: rows.length });
    }
  }

  /** Nothing to do: the run has written to the slots in place. */
  settle(): undefined {}

  #move({ from, to, numTokens }: SlotMove): void {
    const { numKvHeads, headSize, type } = this.#shape;
    const headBytes = this.#slotBytes / numKvHeads;
    const usedBytes = numTokens * headSize * elementBytes[type];
    for (const { buffer } of this.#parts) {
      for (let head = 0; head < numKvHeads; head++) {
        const within = head * headBytes;
        buffer.copyWithin(to * this.#slotBytes + within, from * this.#slotBytes + within, usedBytes);
      }
    }
  }

  #bind(group: AttentionGroup, rows: SlotRange): void {
    const { firstSlot, numRows } = rows.numRows > 0 ? rows : { firstSlot: this.#shape.numSlots, numRows: 1 };
    const bound = this.#bound.get(group);
    if (bound?.firstSlot === firstSlot && bound.numRows === numRows) return;
    this.#bound.delete(group);
    const { numKvHeads, maxModelLen, headSize, type } = this.#shape;
    const shape = [numRows, numKvHeads, maxModelLen, headSize];
    for (const { name, buffer } of this.#parts) {
      const tensor = { buffer, byteOffset: firstSlot * this.#slotBytes, type, shape };
      this.#session.bindInput(`${group}.past.${name}`, tensor);
      this.#session.bindOutput(`${group}.present.${name}`, tensor);
    }
    this.#bound.set(group, { firstSlot, numRows });
  }

  get #slotBytes(): number {
    const { numKvHeads, maxModelLen, headSize, type } = this.#shape;
    return numKvHeads * maxModelLen * headSize * elementBytes[type];
  }
}
