import type { FinishReason, RowSampling, RowScoring, SamplingParams, StepRow, TokenLogprobs } from '../core/index.ts';
import { completingTokens } from './banned-tokens.ts';

export type SequenceStatus = 'waiting' | 'running' | 'finished';

export interface SequenceInit {
  readonly id: string;
  readonly promptTokenIds: readonly number[];
  readonly sampling: SamplingParams;
  /** The sequence ends with the first of these tokens. */
  readonly endTokenIds?: ReadonlySet<number>;
  /** Token sequences that are never completed. */
  readonly bannedSequences?: readonly (readonly number[])[];
  /** At least 1. Prompt and output together fit the context. */
  readonly maxNewTokens: number;
  readonly minNewTokens?: number;
  readonly numLogprobs?: number | undefined;
  readonly numPromptLogprobs?: number | undefined;
  readonly arrivedAtMs: number;
}

/** One generation in progress. Only the scheduler changes it. */
export class Sequence {
  readonly #init: SequenceInit;
  /** Which of the answers to its prompt this is, from 0. */
  readonly choice: number;
  /** Other answers to the same prompt. They share its computation, and run on their own from their first token on. */
  readonly forks: readonly Sequence[];
  readonly #ownChoice: readonly number[];

  readonly outputTokenIds: number[] = [];
  /** Log probabilities of the prompt's tokens from the second one on, if they are asked for. */
  readonly promptLogprobs: TokenLogprobs[] = [];
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

  /** @param n answers to the prompt: this one and its forks */
  constructor(init: SequenceInit, { n = 1, choice = 0 }: { readonly n?: number; readonly choice?: number } = {}) {
    this.#init = init;
    this.choice = choice;
    this.#ownChoice = [choice];
    this.forks = Array.from({ length: n - 1 }, (_, i) => new Sequence(init, { choice: choice + i + 1 }));
  }

  get id(): string {
    return this.#init.id;
  }

  get promptTokenIds(): readonly number[] {
    return this.#init.promptTokenIds;
  }

  get maxNewTokens(): number {
    return this.#init.maxNewTokens;
  }

  get arrivedAtMs(): number {
    return this.#init.arrivedAtMs;
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

  /** The answers that wait for their first token from this sequence's prompt, besides its own. */
  get waitingForks(): readonly Sequence[] {
    if (this.forks.length === 0) return this.forks;
    return this.forks.filter(({ status, outputTokenIds }) => status !== 'finished' && outputTokenIds.length === 0);
  }

  /** Slots that the sequence and its forks take together. */
  get numSlots(): number {
    return 1 + this.waitingForks.length;
  }

  isEndedBy(tokenId: number): boolean {
    return this.#init.endTokenIds?.has(tokenId) ?? false;
  }

  /** The row that feeds the next tokens, and draws one if they are the last that are known. */
  rowOf(numFedTokens: number): StepRow {
    const { slot, numComputedTokens: start } = this;
    if (slot === undefined) throw new Error(`sequence ${this.id} runs without a slot`);
    const isComplete = numFedTokens === this.numUncomputedTokens;
    const tokenIds = this.#tokens(start, start + numFedTokens);
    const row = { slot, start, tokenIds, sample: isComplete ? this.#rowSampling() : undefined };
    const score = this.#scoring(start, start + numFedTokens);
    return score === undefined ? row : { ...row, score };
  }

  #rowSampling(): RowSampling {
    const { sampling: params, numLogprobs } = this.#init;
    const tokenIndex = this.outputTokenIds.length;
    const choices = tokenIndex > 0 ? this.#ownChoice : [this, ...this.waitingForks].map(({ choice }) => choice);
    return {
      params,
      tokenIndex,
      choices,
      context: dependsOnContext(params)
        ? { promptTokenIds: this.promptTokenIds, outputTokenIds: this.outputTokenIds.slice() }
        : undefined,
      bannedTokenIds: this.#bannedTokenIds(),
      numLogprobs,
    };
  }

  #bannedTokenIds(): readonly number[] | undefined {
    const { minNewTokens = 0, endTokenIds = [], bannedSequences = [] } = this.#init;
    const isTooShort = this.outputTokenIds.length < minNewTokens;
    if (!isTooShort && bannedSequences.length === 0) return undefined;
    const tokenAt = (indexFromEnd: number) => this.#tokenAt(this.numTokens - indexFromEnd);
    return [...(isTooShort ? endTokenIds : []), ...completingTokens(bannedSequences, tokenAt)];
  }

  #scoring(start: number, end: number): RowScoring | undefined {
    const { numPromptLogprobs: numLogprobs, promptTokenIds } = this.#init;
    if (numLogprobs === undefined || start >= promptTokenIds.length) return undefined;
    return { tokenIds: promptTokenIds.slice(start + 1, end + 1), numLogprobs };
  }

  #tokenAt(position: number): number | undefined {
    const numPrompt = this.promptTokenIds.length;
    return position < numPrompt ? this.promptTokenIds[position] : this.outputTokenIds[position - numPrompt];
  }

  /** Tokens of prompt and output by their positions. */
  #tokens(start: number, end: number): readonly number[] {
    const numPrompt = this.promptTokenIds.length;
    if (end <= numPrompt) return this.promptTokenIds.slice(start, end);
    const fromOutput = this.outputTokenIds.slice(Math.max(0, start - numPrompt), end - numPrompt);
    return start >= numPrompt ? fromOutput : [...this.promptTokenIds.slice(start), ...fromOutput];
  }
}

function dependsOnContext({ repetitionPenalty, presencePenalty, frequencyPenalty }: SamplingParams): boolean {
  return repetitionPenalty !== 1 || presencePenalty !== 0 || frequencyPenalty !== 0;
}
