import type { SlotMove } from '../core/index.ts';
import type { Sequence } from './sequence.ts';

/** Which sequence holds which slot of the KV cache. */
export class SlotTable {
  readonly #slots: (Sequence | undefined)[];

  constructor(size: number) {
    this.#slots = new Array<Sequence | undefined>(size).fill(undefined);
  }

  /** The running sequences in slot order. */
  get sequences(): Sequence[] {
    return this.#slots.filter((sequence) => sequence !== undefined);
  }

  get numFree(): number {
    return this.#slots.length - this.sequences.length;
  }

  /** The first free slot behind all sequences. Newcomers occupy the slots from there on. */
  get tail(): number {
    return this.#slots.findLastIndex((sequence) => sequence !== undefined) + 1;
  }

  isFree(slot: number): boolean {
    return this.#slots[slot] === undefined;
  }

  /** The first free slot, which may be a hole. */
  get firstFree(): number {
    return this.#slots.indexOf(undefined);
  }

  occupy(slot: number, sequence: Sequence): void {
    if (this.#slots[slot] !== undefined) throw new Error(`slot ${slot} is already occupied`);
    this.#slots[slot] = sequence;
    sequence.slot = slot;
  }

  release(sequence: Sequence): void {
    if (sequence.slot === undefined || this.#slots[sequence.slot] !== sequence) {
      throw new Error(`sequence ${sequence.id} holds no slot`);
    }
    this.#slots[sequence.slot] = undefined;
    sequence.slot = undefined;
  }

  /**
   * Moves decoding sequences from the end into the holes that finished ones left, so that they hold the first slots.
   * A partly computed prompt stays where it is, behind them.
   */
  closeHoles(): SlotMove[] {
    const decoding = this.sequences.filter((sequence) => sequence.isDecoding);
    const moves: SlotMove[] = [];
    for (let hole = 0; hole < decoding.length; hole++) {
      if (this.#slots[hole] !== undefined) continue;
      const last = decoding.reduce((a, b) => ((a.slot ?? -1) > (b.slot ?? -1) ? a : b));
      const from = last.slot;
      if (from === undefined || from < hole) break;
      this.release(last);
      this.occupy(hole, last);
      moves.push({ from, to: hole, numTokens: last.numComputedTokens });
    }
    return moves;
  }
}
