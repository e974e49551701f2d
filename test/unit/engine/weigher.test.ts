import { expect, onTestFinished, test } from 'vitest';
import { nativeArray, Resources } from '../../../src/engine/ort/index.ts';
import { Scorer } from '../../../src/engine/scorer.ts';
import { Weigher } from '../../../src/engine/weigher.ts';
import { maximaOf, randomLogits, weighed } from '../../support/random-logits.ts';

const session = { threads: 2, spinning: false };

/** Rows of logits in native memory. */
function nativeRows(rows: readonly Float32Array[]) {
  const owned = new Resources();
  onTestFinished(() => owned.free());
  const [{ length: vocabSize } = new Float32Array()] = rows;
  const array = owned.own(nativeArray(Float32Array, rows.length * vocabSize));
  for (const [nth, row] of rows.entries()) array.values.set(row, nth * vocabSize);
  return { owned, array, vocabSize };
}

function expectClose(actual: Float32Array, expected: Float32Array): void {
  expect(actual).toHaveLength(expected.length);
  for (const [i, value] of expected.entries()) expect(actual[i]).toBeCloseTo(value, 6);
}

const row = (seed: number, vocabSize: number) =>
  randomLogits({ seed, vocabSize, scale: 3, quantum: 0, masked: seed % 2 === 0 ? 0 : 0.2 });

test.each([5, 32, 33, 64, 95, 1000])(
  'a vocabulary of %i tokens gets its weights, and the sums and maxima of its segments',
  async (vocabSize) => {
    const rows = [1, 2, 3, 4].map((seed) => row(seed, vocabSize));
    const { owned, array } = nativeRows(rows);
    const weigher = new Weigher(vocabSize, session, owned);
    for (const temperatures of [
      [1, 1, 1],
      [0.5, 1, 2],
    ]) {
      const batch = weigher.batch(0);
      batch.load({ array, first: 1 }, temperatures);
      await batch.weigh();
      for (const [nth, temperature] of temperatures.entries()) {
        const expected = weighed(rows[1 + nth] ?? new Float32Array(), temperature);
        const { logits, weights, sums, maxima } = batch.rowOf(nth);
        expect(logits).toEqual(expected.logits);
        expectClose(weights, expected.weights);
        expectClose(sums, expected.sums);
        expectClose(maxima, expected.maxima);
      }
    }
  },
);

test.each([5, 33, 64, 1000])(
  'rows of %i tokens are scored, wherever they are and whatever the order of the tokens',
  async (vocabSize) => {
    const rows = Array.from({ length: 30 }, (_, seed) => row(seed, vocabSize));
    const { owned, array } = nativeRows(rows);
    const scorer = new Scorer({ vocabSize, maxRows: rows.length, maxDrawn: rows.length }, session, owned);
    const ats = [0, 1, 2, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 29];
    const scores = scorer.start({ array, placeOf: (at) => at }, ats);
    const tokens = ats.map((at, i) => ({ at, id: i % vocabSize, numTop: i % 6 })).reverse();
    const results = await scores.of(tokens);
    for (const [i, { at, id, numTop }] of tokens.entries()) {
      const logits = rows[at] ?? new Float32Array();
      const [largest = 0] = maximaOf(logits).toSorted((a, b) => b - a);
      const logSum = largest + Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - largest), 0));
      const { logprob, rank, top } = results[i] ?? { logprob: Number.NaN, rank: 0, top: [] };
      if (Number.isFinite(logits[id])) expect(logprob).toBeCloseTo((logits[id] ?? 0) - logSum, 5);
      else expect(logprob).toBe(Number.NEGATIVE_INFINITY);
      expect(rank).toBe(1 + logits.filter((logit) => logit > (logits[id] ?? 0)).length);
      expect(top).toHaveLength(Math.min(numTop, vocabSize));
      if (numTop > 0) expect(logits[top[0]?.id ?? -1]).toBe(largest);
    }
  },
);
