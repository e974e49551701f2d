import { expect, test } from 'vitest';
import { percentile, poissonArrivals, type RequestTrace, summarize } from '../../../src/load/index.ts';

function trace(sentAtMs: number, tokenAtMs: readonly number[], rest: Partial<RequestTrace> = {}): RequestTrace {
  const endedAtMs = tokenAtMs.at(-1) ?? sentAtMs;
  return { sentAtMs, tokenAtMs, endedAtMs, tokenIds: [], isStreamed: true, timings: {}, error: undefined, ...rest };
}

test('percentiles are values that were measured', () => {
  const values = Array.from({ length: 100 }, (_, i) => 100 - i);
  expect([0.5, 0.9, 0.95, 0.99, 1].map((share) => percentile(values, share))).toEqual([50, 90, 95, 99, 100]);
  expect(percentile([7], 0.01)).toBe(7);
  expect(percentile([], 0.5)).toBeNaN();
});

test('a summary counts the requests that ended in the window, and the tokens that arrived in it', () => {
  const traces = [
    trace(0, [500, 900]),
    trace(800, [1100, 1200, 1400]),
    trace(1000, [1500, 1900]),
    trace(1500, [1900, 2100]),
    trace(1000, [1300], { error: 'cut' }),
  ];
  const summary = summarize(traces, { fromMs: 1000, toMs: 2000 }, { ttftMs: 400 });
  expect(summary).toMatchObject({ numRequests: 2, numErrors: 1, requestsPerSecond: 2, tokensPerSecond: 7, goodput: 1 });
  expect(summary.ttft).toMatchObject({ p50: 300, p99: 500 });
  expect(summary.itl).toMatchObject({ p50: 200, p99: 400 });
  expect(summary.tpot).toMatchObject({ p50: 150, p99: 400 });
  expect(summary.e2el).toMatchObject({ p50: 600, p99: 900 });
});

test('requests still waiting at the end of the window count with the time waited so far', () => {
  const waiting = trace(1000, [2500]);
  const summary = summarize([trace(900, [1100]), waiting, waiting], { fromMs: 1000, toMs: 2000 });
  expect(summary).toMatchObject({ ttft: { p50: 1000 }, isTtftP95Open: true });
  const answered = Array.from({ length: 39 }, () => trace(900, [1100]));
  const isOpen = (traces: readonly RequestTrace[]) => summarize(traces, { fromMs: 1000, toMs: 2000 }).isTtftP95Open;
  expect(isOpen([...answered, waiting, waiting])).toBe(false);
  expect(isOpen([...answered, waiting, waiting, waiting])).toBe(true);
  expect(isOpen([...answered, ...answered.map(() => trace(1900, [2500]))])).toBe(false);
  expect(summary.e2el).toMatchObject({ p50: 1000 });
  expect(summary.numRequests).toBe(1);
});

test('without streaming there are no times between tokens, and the rate is measured from burst to burst', () => {
  const batch = (endedAtMs: number) =>
    Array.from({ length: 10 }, (_, i) => trace(0, [endedAtMs + i, endedAtMs + i], { isStreamed: false }));
  const traces = [200, 1000, 1800, 2600].flatMap(batch);
  for (const toMs of [1900, 2500]) {
    const summary = summarize(traces, { fromMs: 100, toMs });
    expect(summary.requestsPerSecond).toBeCloseTo(20 / 1.609);
    expect(summary.tokensPerSecond).toBeCloseTo(40 / 1.609);
    expect(summary.itl.p50).toBeNaN();
    expect(summary.tpot.p50).toBeNaN();
  }
  expect(summarize(batch(200), { fromMs: 0, toMs: 1000 }).requestsPerSecond).toBe(10);
});

test('without an SLO there is no goodput, and a request of one token has no TPOT', () => {
  const summary = summarize([trace(0, [10])], { fromMs: 0, toMs: 1000 });
  expect(summary.goodput).toBeUndefined();
  expect(summary.tpot.p50).toBeNaN();
});

test('Poisson arrivals have the exact rate, and are the same for the same seed', () => {
  const arrivals = poissonArrivals(50, 100_000, 3);
  expect(arrivals).toHaveLength(5000);
  expect(arrivals).toEqual(arrivals.toSorted((a, b) => a - b));
  expect(poissonArrivals(50, 100_000, 3)).toEqual(arrivals);
  expect(poissonArrivals(50, 100_000, 4)).not.toEqual(arrivals);
});
