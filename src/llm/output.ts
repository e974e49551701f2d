import type { FinishedEvent } from '../core/index.ts';
import type { Sequence } from '../scheduler/index.ts';
import type { OutputStream } from './output-stream.ts';
import type { OutputText } from './output-text.ts';

/** What the engine keeps for each sequence. */
export interface Output {
  readonly stream: OutputStream;
  readonly text: OutputText;
  /** Removes the listener of the request's signal, which may outlive the request. */
  readonly forget: () => void;
  readonly tokenizeMs: number;
  detokenizeMs: number;
}

/** The last event of a sequence that is complete. */
export function finishedEvent(
  sequence: Sequence,
  { tokenizeMs, detokenizeMs }: Output,
  finishReason: FinishedEvent['finishReason'],
): FinishedEvent {
  const {
    arrivedAtMs,
    scheduledAtMs = arrivedAtMs,
    firstTokenAtMs = scheduledAtMs,
    lastTokenAtMs = firstTokenAtMs,
  } = sequence;
  return {
    type: 'finished',
    finishReason,
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
