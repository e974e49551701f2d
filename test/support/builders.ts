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
    endTokenIds = new Set([2]),
    n = 1,
  }: {
    promptLength?: number;
    maxNewTokens?: number;
    arrivedAtMs?: number;
    sampling?: SamplingParams;
    endTokenIds?: ReadonlySet<number>;
    n?: number;
  } = {},
): Sequence {
  const first = 10 + ids.push(id) - 1;
  const promptTokenIds = Array.from({ length: promptLength }, (_, i) => first + i);
  return new Sequence({ id, promptTokenIds, sampling, endTokenIds, maxNewTokens, arrivedAtMs }, { n });
}

/** A trace that names sequences by their ids. */
export function traceOfSequences(): StepTrace {
  return new StepTrace(([first = 0]) => ids[first - 10] ?? 'unknown');
}
