import { expect, test } from 'vitest';
import { percentile, poissonArrivals, type RequestTrace, summarize } from '../../../src/load/index.ts';

function trace(sentAtMs: number, tokenAtMs: readonly number[], error?: string): RequestTrace {
  return { sentAtMs, tokenAtMs, endedAtMs: tokenAtMs.at(-1) ?? sentAtMs, tokenIds: [], timings: {}, error };
}

test('percentiles are values that were measured', () => {
  const values = Array.from({ length: 100 }, (_, i) => 100 - i);
  expect([0.5, 0.9, 0.95, 0.99, 1].map((share) => percentile(values, share))).toEqual([50, 90, 95, 99, 100]);
  expect(percentile([7], 0.01)).toBe(7);
  expect(percentile([], 0.5)).toBeNaN();
});

test('a summary counts what ended in the window, and the tokens that came in it', () => {
  const traces = [
    trace(0, [500, 900]),
    trace(800, [1100, 1200, 1400]),
    trace(1000, [1500, 1900]),
    trace(1500, [1900, 2100]),
    trace(1000, [1300], 'cut'),
  ];
  const summary = summarize(traces, { fromMs: 1000, toMs: 2000 }, { ttftMs: 400 });
  expect(summary).toMatchObject({ numRequests: 2, numErrors: 1, requestsPerSecond: 2, tokensPerSecond: 7, goodput: 1 });
  expect(summary.ttft).toMatchObject({ p50: 300, p99: 500 });
  expect(summary.itl).toMatchObject({ p50: 200, p99: 400 });
  expect(summary.tpot).toMatchObject({ p50: 150, p99: 400 });
  expect(summary.e2el).toMatchObject({ p50: 600, p99: 900 });
});

test('without an SLO there is no goodput, and a request of one token has no TPOT', () => {
  const summary = summarize([trace(0, [10])], { fromMs: 0, toMs: 1000 });
  expect(summary.goodput).toBeUndefined();
  expect(summary.tpot.p50).toBeNaN();
});

test('arrivals without memory are as many as asked for, and the same for the same seed', () => {
  const arrivals = poissonArrivals(50, 100_000, 3);
  expect(arrivals.length / 100).toBeGreaterThan(47);
  expect(arrivals.length / 100).toBeLessThan(53);
  expect(arrivals).toEqual(arrivals.toSorted((a, b) => a - b));
  expect(poissonArrivals(50, 100_000, 3)).toEqual(arrivals);
  expect(poissonArrivals(50, 100_000, 4)).not.toEqual(arrivals);
});
