import fc from 'fast-check';
import { expect, test } from 'vitest';
import { LikeliestIds, numLarger } from '../../../src/sampling/index.ts';
import { RankedTokens } from '../../../src/sampling/ranked-tokens.ts';
import { idReaching } from '../../../src/sampling/segments.ts';
import { maximaOf, randomLogits, weighed } from '../../support/random-logits.ts';

const rows = fc
  .record({
    seed: fc.nat(),
    vocabSize: fc.integer({ min: 1, max: 500 }),
    scale: fc.constantFrom(0.1, 1, 10),
    quantum: fc.constantFrom(0, 0.5),
    masked: fc.constantFrom(0, 0.1, 0.9),
  })
  .map(randomLogits);

test('the likeliest tokens are those of a sorted list, with ties, masks and last segments that are shorter', () => {
  const likeliest = new LikeliestIds(20);
  fc.assert(
    fc.property(rows, fc.integer({ min: 0, max: 20 }), (logits, count) => {
      const sorted = [...logits.keys()].sort((a, b) => (logits[b] ?? 0) - (logits[a] ?? 0) || a - b);
      expect([...likeliest.of(logits, maximaOf(logits), count)]).toEqual(sorted.slice(0, count));
    }),
    { numRuns: 300 },
  );
});

test('larger values are counted', () => {
  fc.assert(
    fc.property(rows, fc.nat(), (logits, nth) => {
      const value = logits[nth % logits.length] ?? 0;
      expect(numLarger(logits, maximaOf(logits), value)).toBe(logits.filter((logit) => logit > value).length);
    }),
  );
});

test('a mass that rounding put beyond all weights gives the last possible token', () => {
  fc.assert(
    fc.property(rows, (logits) => {
      fc.pre(logits.some(Number.isFinite));
      const row = weighed(logits);
      const possible = [...logits.keys()].filter((id) => (row.weights[id] ?? 0) >= 2 ** -126);
      const leastLikely = possible.reduce((a, b) => ((logits[b] ?? 0) <= (logits[a] ?? 0) ? b : a));
      const tokens = new RankedTokens(logits.length);
      tokens.load(row);
      expect(tokens.ofMass(1.001).lastId).toBe(leastLikely);
      expect(idReaching(1.001, row)).toBe(logits.findLastIndex((_, id) => (row.weights[id] ?? 0) > 0));
    }),
    { numRuns: 300 },
  );
});
