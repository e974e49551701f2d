import { greedy, type SamplingParams, Sequence } from '../../src/core/index.ts';

/** A sequence of a made-up prompt. */
export function sequence(
  id: string,
  {
    promptLength = 3,
    maxNewTokens = 4,
    arrivedAtMs = 0,
    sampling = greedy,
  }: {
    promptLength?: number;
    maxNewTokens?: number;
    arrivedAtMs?: number;
    sampling?: SamplingParams;
  } = {},
): Sequence {
  const promptTokenIds = Array.from({ length: promptLength }, (_, i) => 10 + i);
  return new Sequence({ id, promptTokenIds, sampling, maxNewTokens, arrivedAtMs });
}
