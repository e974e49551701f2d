import { greedy, type SamplingParams } from '../../src/core/index.ts';
import { Sequence } from '../../src/scheduler/index.ts';
import { StepTrace } from './step-trace.ts';

const ids: string[] = [];

/** A sequence with a made-up prompt. Its first token is unique, so that {@link traceOfSequences} can find the id. */
export function sequence(
  id: string,
  {
    promptLength = 3,
    maxNewTokens = 4,
    arrivedAtMs = 0,
    sampling = greedy,
    ignoreEos = false,
  }: {
    promptLength?: number;
    maxNewTokens?: number;
    arrivedAtMs?: number;
    sampling?: SamplingParams;
    ignoreEos?: boolean;
  } = {},
): Sequence {
  const first = 10 + ids.push(id) - 1;
  const promptTokenIds = Array.from({ length: promptLength }, (_, i) => first + i);
  return new Sequence({ id, promptTokenIds, sampling, ignoreEos, maxNewTokens, arrivedAtMs });
}

/** A trace that names sequences by their ids. */
export function traceOfSequences(): StepTrace {
  return new StepTrace(([first = 0]) => ids[first - 10] ?? 'unknown');
}
