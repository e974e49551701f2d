import type { FinishReason } from './finish-reason.ts';
import type { SamplingParams } from './request.ts';

export type SequenceStatus = 'waiting' | 'running' | 'finished';

/** One generation in progress. In a server, only the scheduler changes it. */
export class Sequence {
  readonly id: string;
  readonly promptTokenIds: readonly number[];
  readonly sampling: SamplingParams;
  /** At most this many output tokens; prompt and output together fit the context. */
  readonly maxNewTokens: number;
  readonly arrivedAtMs: number;

  readonly outputTokenIds: number[] = [];
  status: SequenceStatus = 'waiting';
  finishReason: FinishReason | undefined;
  /** The slot of the KV cache while running. */
  slot: number | undefined;
  /** Tokens whose keys and values are in the cache. */
  numComputedTokens = 0;
  /** When its first step was planned, its first and its last token came. */
  scheduledAtMs: number | undefined;
  firstTokenAtMs: number | undefined;
  lastTokenAtMs: number | undefined;

  constructor(init: {
    id: string;
    promptTokenIds: readonly number[];
    sampling: SamplingParams;
    maxNewTokens: number;
    arrivedAtMs: number;
  }) {
    this.id = init.id;
    this.promptTokenIds = init.promptTokenIds;
    this.sampling = init.sampling;
    this.maxNewTokens = init.maxNewTokens;
    this.arrivedAtMs = init.arrivedAtMs;
  }

  get numTokens(): number {
    return this.promptTokenIds.length + this.outputTokenIds.length;
  }

  /** Known tokens that the model has not been fed yet: the rest of the prompt, or the one token sampled last. */
  get numUncomputedTokens(): number {
    return this.numTokens - this.numComputedTokens;
  }

  /** Whether the whole prompt is in the cache, so that each step feeds one sampled token. */
  get isDecoding(): boolean {
    return this.numComputedTokens >= this.promptTokenIds.length;
  }

  /** The token at a position of prompt and output. */
  tokenAt(position: number): number {
    const numPrompt = this.promptTokenIds.length;
    const tokenId = position < numPrompt ? this.promptTokenIds[position] : this.outputTokenIds[position - numPrompt];
    if (tokenId === undefined) throw new RangeError(`sequence ${this.id} has no token at position ${position}`);
    return tokenId;
  }
}
