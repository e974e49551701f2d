import { type FinishedEvent, type GenerationEvent, ServingError, type TokenEvent } from '../core/index.ts';
import type { DoneData, GenerateReply } from './schemas.ts';
import type { Stopwatch } from './stopwatch.ts';

/** What names an answer in its last event, or in the whole of it. */
export interface Answer {
  readonly id: string;
  readonly model: string;
  readonly stopwatch: Stopwatch;
}

/**
 * The whole answer, once it is complete; undefined if the client has left.
 * @throws {ServingError} the answer ended with an error
 */
export async function collect(
  events: AsyncIterable<GenerationEvent>,
  { gone, ...answer }: Answer & { readonly gone: AbortSignal },
): Promise<GenerateReply | undefined> {
  const tokens: TokenEvent[] = [];
  for await (const event of events) {
    if (event.type === 'token') tokens.push(event);
    else if (event.type === 'error') throw event.error;
    else {
      return {
        text: tokens.map(({ text }) => text).join(''),
        token_ids: tokens.map(({ tokenId }) => tokenId),
        ...doneData(event, answer),
      };
    }
  }
  if (gone.reason instanceof ServingError) throw gone.reason;
  return undefined;
}

export function doneData({ finishReason, usage, timings }: FinishedEvent, { id, model, stopwatch }: Answer): DoneData {
  const own = stopwatch.read();
  return {
    id,
    model,
    finish_reason: finishReason,
    usage: {
      prompt_tokens: usage.promptTokens,
      completion_tokens: usage.completionTokens,
      total_tokens: usage.promptTokens + usage.completionTokens,
    },
    timings: {
      receive_ms: round(own.receiveMs),
      validate_ms: round(own.validateMs),
      tokenize_ms: round(timings.tokenizeMs),
      queue_ms: round(timings.queueMs),
      prefill_ms: round(timings.prefillMs),
      decode_ms: round(timings.decodeMs),
      detokenize_ms: round(timings.detokenizeMs),
      write_ms: round(own.writeMs),
      total_ms: round(own.totalMs),
    },
  };
}

/** To the microsecond. */
function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
