import { expect, test } from 'vitest';
import { greedy } from '../../src/core/index.ts';
import { Sequence } from '../../src/scheduler/index.ts';
import { choosing, generate, withRunner } from '../support/conformance.ts';
import { reference } from '../support/fixtures.ts';
import { randomOpt } from '../support/random-opt.ts';

/** Enough for the first sequence to be still decoding when the last prompt is prefilled. */
const numNewTokens = 24;

/** One sequence for each prompt length, identified by its seed. */
function sequences(promptLengths: readonly number[]): Sequence[] {
  return promptLengths.map((length, seed) => {
    const promptTokenIds = Array.from({ length }, (_, i) => 4 + ((seed * 31 + i * 17) % 90));
    const sampling = { ...greedy, seed };
    return new Sequence({ id: `${seed}`, promptTokenIds, sampling, maxNewTokens: numNewTokens, arrivedAtMs: 0 });
  });
}

/** Every sampled row of logits as bytes, by sequence and token index. */
async function allLogits(folder: string, threads: number, promptLengths: readonly number[], areAlone: boolean) {
  const rows = new Map<string, Buffer>();
  const sampler = choosing((logits, { params: { seed }, tokenIndex }) => {
    rows.set(`${seed}:${tokenIndex}`, Buffer.from(logits.slice().buffer));
    return 4 + tokenIndex;
  });
  await withRunner(folder, { threads, sampler }, async (runner) => {
    const all = sequences(promptLengths);
    if (areAlone) for (const sequence of all) await generate(runner, [sequence]);
    else await generate(runner, all, all.length);
  });
  return rows;
}

/** The rows of logits that differ between running alone and in a batch. */
async function differingRows(folder: string, threads: number, promptLengths: readonly number[]): Promise<string[]> {
  const alone = await allLogits(folder, threads, promptLengths, true);
  const together = await allLogits(folder, threads, promptLengths, false);
  expect(together.size).toBe(promptLengths.length * numNewTokens);
  return [...alone].filter(([row, logits]) => together.get(row)?.equals(logits) !== true).map(([row]) => row);
}

const threadCounts = [1, 2, 16, 32];

test.each(threadCounts)(
  'with %i threads, a reference model computes the same logits alone and in a batch',
  async (threads) => {
    for (const name of ['opt-mini', 'opt-mini-postln']) {
      expect(await differingRows(reference(name), threads, [40, 3, 17, 28])).toEqual([]);
    }
  },
);

test.each(threadCounts)('with %i threads, long contexts give the same logits alone and in a batch', async (threads) => {
  const folder = await randomOpt({ num_hidden_layers: 2, vocab_size: 128, max_position_embeddings: 2048 });
  expect(await differingRows(folder, threads, [1500, 300, 1990, 1100])).toEqual([]);
});
