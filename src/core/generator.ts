import type { ServingError } from './errors.ts';
import type { CompletionReason } from './finish-reason.ts';
import type { GenerateRequest } from './request.ts';
import type { SampledToken, TokenLogprobs } from './step.ts';

export interface Usage {
  readonly promptTokens: number;
  readonly completionTokens: number;
}

/** Where the time of a request went, in milliseconds. */
export interface Timings {
  /** From arrival to the end of tokenization. */
  readonly tokenizeMs: number;
  /** From there to the first step. */
  readonly queueMs: number;
  /** From the first step to the first token. */
  readonly prefillMs: number;
  /** From the first token to the last. */
  readonly decodeMs: number;
  /** Turning tokens into text, while later tokens are computed. */
  readonly detokenizeMs: number;
}

/** A prompt as the model sees it. Comes before the tokens of its answers. */
export interface PromptEvent {
  readonly type: 'prompt';
  /** Index among the prompts of the request. */
  readonly prompt: number;
  readonly tokenIds: readonly number[];
  /** One per token, if the request asks for them. Undefined for the first token, which nothing predicts. */
  readonly logprobs?: readonly (TokenLogprobs | undefined)[];
}

/** A token of an answer. */
export interface TokenEvent {
  readonly type: 'token';
  /** Index among the answers of the request, from 0. */
  readonly choice: number;
  /** Index among the tokens of the answer, from 0. */
  readonly index: number;
  readonly token: SampledToken;
  /** The text that the token adds. Empty while a character or a possible stop string is incomplete. */
  readonly text: string;
  /** Whether the answer ends with this token. Its `finished` event follows at once. */
  readonly isLast: boolean;
}

/** An answer is complete. */
export interface FinishedEvent {
  readonly type: 'finished';
  readonly choice: number;
  readonly finishReason: CompletionReason;
  /** The stop string or the stop token that ended the answer. */
  readonly stopReason?: string | number | undefined;
  /** Tokens of this answer and its prompt. */
  readonly usage: Usage;
  readonly timings: Timings;
}

export interface ErrorEvent {
  readonly type: 'error';
  readonly error: ServingError;
}

/**
 * What a client sees. Every answer ends with one `finished` event, and the events end with the last of these; or one `error` ends the whole
 * request. After an abort there is neither.
 */
export type GenerationEvent = PromptEvent | TokenEvent | FinishedEvent | ErrorEvent;

/** How full the generator is. */
export interface GeneratorStats {
  readonly numRunning: number;
  readonly numWaiting: number;
  readonly numFreeSlots: number;
  /** Engine steps since the start. */
  readonly numSteps: number;
}

/** Turns requests into events. The server knows nothing else of what is behind it. */
export interface TextGenerator {
  /**
   * Resolves once the request is accepted; from then on it ends in exactly one way.
   * @param signal aborts the request: its slot is free at the next token boundary, and the events end without a last one
   * @throws {ServingError} the request is refused; nothing was started
   */
  submit(request: GenerateRequest, signal: AbortSignal): Promise<AsyncIterable<GenerationEvent>>;
  stats(): GeneratorStats;
  /** Whether the engine is warm, its last steps did not all fail, and new requests are accepted. */
  readonly isReady: boolean;
  /** Tries the engine again if failed steps have made it unready. Does not wait for the outcome. */
  recover(): void;
}
