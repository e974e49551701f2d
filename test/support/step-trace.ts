import type { Step, StepRow } from '../../src/core/index.ts';

/** What a trace knows about a slot: the name of its sequence, and whether the whole prompt has been fed. */
interface SlotState {
  readonly name: string;
  readonly isPromptComplete: boolean;
}

/** Describes consecutive steps by the names of their sequences. */
export class StepTrace {
  readonly #nameOf: (promptTokenIds: readonly number[]) => string;
  readonly #slots = new Map<number, SlotState>();

  /** @param nameOf names a sequence by its prompt, or by the first chunk of its prompt */
  constructor(nameOf: (promptTokenIds: readonly number[]) => string) {
    this.#nameOf = nameOf;
  }

  /** Describes a step like `move 3>1; decode a b + prefill c[8] d`, with the length of a chunk in brackets. */
  describe({ moves, rows }: Step): string {
    for (const { from, to } of moves) this.#slots.set(to, this.#stateOf(from));
    const decoding: string[] = [];
    const prefilled: string[] = [];
    for (const row of rows) {
      if (row.start > 0 && this.#stateOf(row.slot).isPromptComplete) decoding.push(this.nameOf(row));
      else prefilled.push(this.#prefill(row));
    }
    const parts = [
      ...(decoding.length > 0 ? [`decode ${decoding.join(' ')}`] : []),
      ...(prefilled.length > 0 ? [`prefill ${prefilled.join(' ')}`] : []),
    ];
    return moves.map(({ from, to }) => `move ${from}>${to}; `).join('') + parts.join(' + ');
  }

  /** The name of the sequence that a row of the last described step belongs to. */
  nameOf({ slot }: StepRow): string {
    return this.#stateOf(slot).name;
  }

  #prefill({ slot, start, tokenIds, sample }: StepRow): string {
    const name = start === 0 ? this.#nameOf(tokenIds) : this.#stateOf(slot).name;
    const isPromptComplete = sample !== undefined;
    this.#slots.set(slot, { name, isPromptComplete });
    return start === 0 && isPromptComplete ? name : `${name}[${tokenIds.length}]`;
  }

  #stateOf(slot: number): SlotState {
    const state = this.#slots.get(slot);
    if (state === undefined) throw new Error(`nothing was fed into slot ${slot}`);
    return state;
  }
}
