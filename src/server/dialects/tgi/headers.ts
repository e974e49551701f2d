import type { Choice, ReplyContext } from '../../dialect.ts';
import type { GenerateBody } from './schemas.ts';

/** Where the time went, in whole milliseconds unless the name or TGI says otherwise. */
export function timeHeaders(
  { finished: { usage, timings } }: Choice,
  { body: { inputs }, stopwatch }: ReplyContext<GenerateBody>,
): Readonly<Record<string, string>> {
  const { receiveMs, validateMs, totalMs } = stopwatch.read();
  const inferenceMs = timings.prefillMs + timings.decodeMs;
  return {
    'x-compute-type': 'weft',
    // In seconds.
    'x-compute-time': `${totalMs / 1000}`,
    'x-compute-characters': `${[...inputs].length}`,
    'x-total-time': whole(totalMs),
    'x-validation-time': whole(receiveMs + validateMs + timings.tokenizeMs),
    'x-queue-time': whole(timings.queueMs),
    'x-inference-time': whole(inferenceMs),
    'x-time-per-token': whole(inferenceMs / usage.completionTokens),
    'x-prompt-tokens': `${usage.promptTokens}`,
    'x-generated-tokens': `${usage.completionTokens}`,
  };
}

function whole(ms: number): string {
  return `${Math.floor(ms)}`;
}
