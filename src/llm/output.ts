import type { FinishedEvent } from '../core/index.ts';
import type { Sequence } from '../scheduler/index.ts';
import type { OutputStream } from './output-stream.ts';
import type { OutputText } from './output-text.ts';

/** What the engine keeps for each request. */
export interface OpenRequest {
  readonly stream: OutputStream;
  /** All its sequences, in the order of the request's choices. */
  readonly sequences: readonly Sequence[];
  /** Answers per prompt. */
  readonly n: number;
  numUnfinished: number;
  readonly reportPrompt: boolean;
  readonly stopTokenIds: readonly number[];
  readonly includeStop: boolean;
  /** Removes the listener of the request's signal, which may outlive the request. */
  readonly forget: () => void;
  readonly tokenizeMs: number;
}

/** What the engine keeps for each sequence. */
export interface Output {
  readonly request: OpenRequest;
  /** Index among the answers of the request. */
  readonly choice: number;
  readonly text: OutputText;
  detokenizeMs: number;
}

/** The last event of a sequence that is complete. */
export function finishedEvent(
  sequence: Sequence,
  { choice, request: { tokenizeMs }, detokenizeMs }: Output,
  end: Pick<FinishedEvent, 'finishReason' | 'stopReason'>,
): FinishedEvent {
  const {
    arrivedAtMs,
    scheduledAtMs = arrivedAtMs,
    firstTokenAtMs = scheduledAtMs,
    lastTokenAtMs = firstTokenAtMs,
  } = sequence;
  return {
    type: 'finished',
    choice,
    ...end,
    usage: { promptTokens: sequence.promptTokenIds.length, completionTokens: sequence.outputTokenIds.length },
    timings: {
      tokenizeMs,
      queueMs: scheduledAtMs - arrivedAtMs - tokenizeMs,
      prefillMs: firstTokenAtMs - scheduledAtMs,
      decodeMs: lastTokenAtMs - firstTokenAtMs,
      detokenizeMs,
    },
  };
}
