import type { AttentionGroup } from '../model/index.ts';
import {
  type ElementType,
  elementBytes,
  type NativeArray,
  nativeArray,
  type Resources,
  type Session,
} from './ort/index.ts';
import type { GraphRun, RowGroup } from './run-plan.ts';

/** The graph's inputs that change with every run, in native memory that is reused. */
export class StepInputs {
  readonly #inputIds: Input<BigInt64Array>;
  readonly #positionIds: Input<BigInt64Array>;
  readonly #attended: Input<BigInt64Array>;
  readonly #logitIndex: Input<BigInt64Array>;
  readonly #decode: GroupInputs;
  readonly #prompt: GroupInputs;
  readonly #promptShape: Input<BigInt64Array>;

  /** @param owned becomes the owner of the inputs' memory */
  constructor(session: Session, { maxRows, maxTokens }: { maxRows: number; maxTokens: number }, owned: Resources) {
    const target = { session, owned };
    this.#inputIds = int64Input(target, 'input_ids', maxTokens);
    this.#positionIds = int64Input(target, 'position_ids', maxTokens);
    this.#attended = int64Input(target, 'attended', maxTokens);
    this.#logitIndex = int64Input(target, 'logit_index', maxRows + maxTokens);
    this.#decode = groupInputs(target, 'decode', { maxRows, maxTokens: maxRows });
    this.#prompt = groupInputs(target, 'prompt', { maxRows, maxTokens });
    this.#promptShape = int64Input(target, 'prompt.shape', 3);
  }

  /** Writes and binds the inputs of a run. @param logitTokens which of the run's tokens get logits; at least one */
  fill({ decode, prompt }: GraphRun, logitTokens: readonly number[]): void {
    const numDecodeResults = Math.max(1, decode.rows.length);
    let numTokens = 0;
    for (const [group, inputs, firstResult] of [
      [decode, this.#decode, 0],
      [prompt, this.#prompt, numDecodeResults],
    ] as const) {
      for (const [i, { row }] of group.rows.entries()) {
        const { start, tokenIds } = row;
        for (const [j, tokenId] of tokenIds.entries()) {
          this.#inputIds.values[numTokens] = BigInt(tokenId);
          this.#positionIds.values[numTokens] = BigInt(start + j);
          this.#attended.values[numTokens] = BigInt(firstResult + i * group.width + j);
          inputs.tokens.values[i * group.width + j] = BigInt(numTokens++);
        }
        // Padding repeats the row's last token. Its results are ignored.
        inputs.tokens.values.fill(BigInt(numTokens - 1), i * group.width + tokenIds.length, (i + 1) * group.width);
      }
      fillLengths(inputs, group);
    }
    const numPrompts = Math.max(1, prompt.rows.length);
    const promptWidth = Math.max(1, prompt.width);
    this.#promptShape.values.set([BigInt(numPrompts), BigInt(promptWidth), -1n]);
    this.#promptShape.bind(3);
    for (const input of [this.#inputIds, this.#positionIds, this.#attended]) input.bind(numTokens);
    for (const [i, token] of logitTokens.entries()) this.#logitIndex.values[i] = BigInt(token);
    this.#logitIndex.bind(logitTokens.length);
    bindGroup(this.#decode, numDecodeResults, 1);
    bindGroup(this.#prompt, numPrompts, promptWidth);
  }
}

/** What attention needs to know about the rows of a group. */
interface GroupInputs {
  readonly tokens: Input<BigInt64Array>;
  readonly seqlensK: Input<Int32Array>;
  readonly totalSequenceLength: Input<Int32Array>;
}

/** An empty group gets one row with one token: see `InPlaceIo`. */
function fillLengths({ tokens, seqlensK, totalSequenceLength }: GroupInputs, { rows, width }: RowGroup): void {
  if (rows.length === 0) {
    tokens.values[0] = 0n;
    seqlensK.values[0] = 0;
    totalSequenceLength.values[0] = 1;
    return;
  }
  let longest = 0;
  for (const [i, { row }] of rows.entries()) {
    seqlensK.values[i] = row.start + row.tokenIds.length - 1;
    longest = Math.max(longest, row.start + width);
  }
  totalSequenceLength.values[0] = longest;
}

function bindGroup({ tokens, seqlensK, totalSequenceLength }: GroupInputs, numRows: number, width: number): void {
  tokens.bind(numRows * width);
  seqlensK.bind(numRows);
  totalSequenceLength.bind(1);
}

function groupInputs(
  target: InputTarget,
  group: AttentionGroup,
  { maxRows, maxTokens }: { maxRows: number; maxTokens: number },
): GroupInputs {
  return {
    tokens: int64Input(target, `${group}.tokens`, maxTokens),
    seqlensK: int32Input(target, `${group}.seqlens_k`, maxRows),
    totalSequenceLength: int32Input(target, `${group}.total_sequence_length`, 1),
  };
}

/** The session that inputs are bound to, and the owner of their memory. */
interface InputTarget {
  readonly session: Session;
  readonly owned: Resources;
}

interface Input<Values> extends NativeArray<Values> {
  /** Binds the first values. */
  bind(length: number): void;
}

function int64Input({ session, owned }: InputTarget, name: string, maxLength: number): Input<BigInt64Array> {
  const array = owned.own(nativeArray(BigInt64Array, maxLength));
  return { ...array, bind: binder(session, name, { ...array, type: 'int64' }) };
}

function int32Input({ session, owned }: InputTarget, name: string, maxLength: number): Input<Int32Array> {
  const array = owned.own(nativeArray(Int32Array, maxLength));
  return { ...array, bind: binder(session, name, { ...array, type: 'int32' }) };
}

/** Binding costs more than writing the values, and on a device it copies them. So a binding that is still valid is kept. */
function binder(
  session: Session,
  name: string,
  { buffer, values, type }: NativeArray<BigInt64Array | Int32Array> & { readonly type: ElementType },
) {
  let bound = -1;
  let copied = new Uint8Array();
  const written = (length: number) => new Uint8Array(values.buffer, 0, length * elementBytes[type]);
  return (length: number) => {
    if (length === bound && (!session.hasDeviceMemory || Buffer.compare(written(length), copied) === 0)) return;
    session.bindInput(name, { buffer, type, shape: [length] });
    bound = length;
    if (session.hasDeviceMemory) copied = written(length).slice();
  };
}
