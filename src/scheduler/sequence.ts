import type { FinishReason, SamplingParams, StepRow } from '../core/index.ts';

export type SequenceStatus = 'waiting' | 'running' | 'finished';

/** One generation in progress. Only the scheduler changes it. */
export class Sequence {
  readonly id: string;
  readonly promptTokenIds: readonly number[];
  readonly sampling: SamplingParams;
  /** Whether the sequence continues past an end-of-sequence token. */
  readonly ignoreEos: boolean;
  /** At most this many output tokens; prompt and output together fit the context. */
  readonly maxNewTokens: number;
  readonly arrivedAtMs: number;

  readonly outputTokenIds: number[] = [];
  status: SequenceStatus = 'waiting';
  finishReason: FinishReason | undefined;
  /** The slot of the KV cache while the sequence runs. */
  slot: number | undefined;
  /** Tokens whose keys and values are in the cache. */
  numComputedTokens = 0;
  /** When its first step was planned, and when its first and its last token came. */
  scheduledAtMs: number | undefined;
  firstTokenAtMs: number | undefined;
  lastTokenAtMs: number | undefined;

  constructor(init: {
    id: string;
    promptTokenIds: readonly number[];
    sampling: SamplingParams;
    ignoreEos?: boolean;
    maxNewTokens: number;
    arrivedAtMs: number;
  }) {
    this.id = init.id;
    this.promptTokenIds = init.promptTokenIds;
    this.sampling = init.sampling;
    this.ignoreEos = init.ignoreEos ?? false;
    this.maxNewTokens = init.maxNewTokens;
    this.arrivedAtMs = init.arrivedAtMs;
  }

  get numTokens(): number {
    return this.promptTokenIds.length + this.outputTokenIds.length;
  }

  /** Known tokens that have not been fed to the model: the rest of the prompt, or the token sampled last. */
  get numUncomputedTokens(): number {
    return this.numTokens - this.numComputedTokens;
  }

  /** Whether the whole prompt is in the cache, so that each step feeds the token sampled last. */
  get isDecoding(): boolean {
    return this.numComputedTokens >= this.promptTokenIds.length;
  }

  /** The row that feeds the next tokens, and draws one if they are the last that are known. */
  rowOf(numFedTokens: number): StepRow {
    const { slot, numComputedTokens: start, sampling: params } = this;
    if (slot === undefined) throw new Error(`sequence ${this.id} runs without a slot`);
    const isComplete = numFedTokens === this.numUncomputedTokens;
    const sample = isComplete ? { params, tokenIndex: this.outputTokenIds.length } : undefined;
    return { slot, start, tokenIds: this.#tokens(start, start + numFedTokens), sample };
  }

  /** Tokens of prompt and output by their positions. */
  #tokens(start: number, end: number): readonly number[] {
    const numPrompt = this.promptTokenIds.length;
    if (end <= numPrompt) return this.promptTokenIds.slice(start, end);
    const fromOutput = this.outputTokenIds.slice(Math.max(0, start - numPrompt), end - numPrompt);
    return start >= numPrompt ? fromOutput : [...this.promptTokenIds.slice(start), ...fromOutput];
  }
}
