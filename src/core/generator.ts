import type { ServingError } from './errors.ts';
import type { CompletionReason } from './finish-reason.ts';
import type { GenerateRequest } from './request.ts';

export interface Usage {
  readonly promptTokens: number;
  readonly completionTokens: number;
}

/** Where the time of one request went, in milliseconds. */
export interface Timings {
  /** From arrival until the prompt was tokens. */
  readonly tokenizeMs: number;
  /** From then to the first step. */
  readonly queueMs: number;
  /** From the first step to the first token. */
  readonly prefillMs: number;
  /** From the first token to the last. */
  readonly decodeMs: number;
  /** Turning tokens into text, while later ones were computed. */
  readonly detokenizeMs: number;
}

/** One token: `text` is what it adds, which may be nothing yet. */
export interface TokenEvent {
  readonly type: 'token';
  readonly index: number;
  readonly tokenId: number;
  readonly text: string;
}

export interface FinishedEvent {
  readonly type: 'finished';
  readonly finishReason: CompletionReason;
  readonly usage: Usage;
  readonly timings: Timings;
}

export interface ErrorEvent {
  readonly type: 'error';
  readonly error: ServingError;
}

/** What a client sees. Exactly one `finished` or `error` event comes, last; none after an abort. */
export type GenerationEvent = TokenEvent | FinishedEvent | ErrorEvent;

/** How full the generator is. */
export interface GeneratorStats {
  readonly numRunning: number;
  readonly numWaiting: number;
  readonly numFreeSlots: number;
  /** Engine steps since the start. */
  readonly numSteps: number;
}

/** What takes requests and gives events: the server's only view of everything behind it. */
export interface TextGenerator {
  /**
   * Resolves once the request is accepted; from then on it ends in exactly one way.
   * @param signal aborts it: its slot is free at the next token boundary and the events just end
   * @throws {ServingError} the request was refused: nothing has been started
   */
  submit(request: GenerateRequest, signal: AbortSignal): Promise<AsyncIterable<GenerationEvent>>;
  stats(): GeneratorStats;
  /** Whether the engine is warm, its last steps have not all failed, and new requests are taken. */
  readonly isReady: boolean;
  /** Tries the engine again if it is not ready because of failed steps. Does not wait for the outcome. */
  recover(): void;
}
