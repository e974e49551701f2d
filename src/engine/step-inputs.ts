import type { Sequence } from '../core/index.ts';
import { type ElementType, NativeBuffer, type Session } from './ort/index.ts';
import type { GraphRun } from './run-plan.ts';

/** The graph's inputs that change with every run, in native memory that is written and bound again and again. */
export class StepInputs {
  readonly #inputIds: Input<BigInt64Array>;
  readonly #positionIds: Input<BigInt64Array>;
  readonly #seqlensK: Input<Int32Array>;
  readonly #totalSequenceLength: Input<Int32Array>;
  readonly #logitIndex: Input<BigInt64Array>;

  constructor(maxRows: number, maxTokens: number) {
    this.#inputIds = int64Input('input_ids', maxTokens);
    this.#positionIds = int64Input('position_ids', maxTokens);
    this.#seqlensK = int32Input('seqlens_k', maxRows);
    this.#totalSequenceLength = int32Input('total_sequence_length', 1);
    this.#logitIndex = int64Input('logit_index', maxRows);
  }

  /** Writes and binds the inputs of a run. @returns the rows to sample, in the order of their logits */
  fill(session: Session, run: GraphRun): GraphRun['rows'] {
    const { rows, width } = run;
    const sampled: GraphRun['rows'][number][] = [];
    let longest = 0;
    for (const [i, graphRow] of rows.entries()) {
      const { sequence, numNewTokens } = graphRow.row;
      const start = sequence.numComputedTokens;
      this.#fillTokens(sequence, i * width, width, numNewTokens);
      this.#seqlensK.values[i] = start + numNewTokens - 1;
      longest = Math.max(longest, start + width);
      if (start + numNewTokens < sequence.numTokens) continue;
      this.#logitIndex.values[sampled.length] = BigInt(i * width + numNewTokens - 1);
      sampled.push(graphRow);
    }
    this.#totalSequenceLength.values[0] = longest;
    this.#inputIds.bind(session, [rows.length, width]);
    this.#positionIds.bind(session, [rows.length, width]);
    this.#seqlensK.bind(session, [rows.length]);
    this.#totalSequenceLength.bind(session, [1]);
    this.#logitIndex.bind(session, [sampled.length]);
    return sampled;
  }

  free(): void {
    const inputs = [this.#inputIds, this.#positionIds, this.#seqlensK, this.#totalSequenceLength, this.#logitIndex];
    for (const input of inputs) input.buffer.free();
  }

  /** A row's new tokens and their positions, padded on the right with token 0. */
  #fillTokens(sequence: Sequence, at: number, width: number, numNewTokens: number): void {
    const start = sequence.numComputedTokens;
    for (let i = 0; i < width; i++) {
      this.#inputIds.values[at + i] = i < numNewTokens ? BigInt(sequence.tokenAt(start + i)) : 0n;
      this.#positionIds.values[at + i] = BigInt(i < numNewTokens ? start + i : 0);
    }
  }
}

interface Input<Values> {
  readonly buffer: NativeBuffer;
  readonly values: Values;
  bind(session: Session, shape: readonly number[]): void;
}

function int64Input(name: string, length: number): Input<BigInt64Array> {
  const buffer = new NativeBuffer(length * BigInt64Array.BYTES_PER_ELEMENT);
  return { buffer, values: new BigInt64Array(buffer.bytes), bind: binder(name, buffer, 'int64') };
}

function int32Input(name: string, length: number): Input<Int32Array> {
  const buffer = new NativeBuffer(length * Int32Array.BYTES_PER_ELEMENT);
  return { buffer, values: new Int32Array(buffer.bytes), bind: binder(name, buffer, 'int32') };
}

function binder(name: string, buffer: NativeBuffer, type: ElementType): Input<unknown>['bind'] {
  return (session, shape) => session.bindInput(name, { buffer, type, shape });
}
