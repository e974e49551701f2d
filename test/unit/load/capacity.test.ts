import { describe, expect, test } from 'vitest';
import {
  brokenConditions,
  type Experience,
  experienceOf,
  findCapacity,
  parseSlo,
  type RequestTrace,
} from '../../../src/load/index.ts';

function trace(e2el: number, error?: string): RequestTrace {
  return { sentAtMs: 0, endedAtMs: e2el, tokenAtMs: [e2el], tokenIds: [], isStreamed: true, timings: {}, error };
}

/** What a server yields that takes this long for every request. */
function experience(ms: number): Experience {
  return experienceOf([trace(ms)]);
}

describe('an SLO', () => {
  test('is read', () => {
    expect(parseSlo('p95<120ms, ttft.p99 < 0.5s,errors<0.1%')).toEqual([
      { kind: 'e2el', level: 'p95', limitMs: 120 },
      { kind: 'ttft', level: 'p99', limitMs: 500 },
      { kind: 'errors', limitShare: 0.001 },
    ]);
  });

  test.each(['', 'p95', 'p95>1ms', 'p95<120', 'p96<1ms', 'tpot.p95<1ms', 'errors<1', 'p95<1ms,'])(
    'is refused: %j',
    (text) => {
      expect(() => parseSlo(text)).toThrow(/^the SLO has ".*"; it must be like p95<120ms/);
    },
  );

  test('is broken by slow requests, by lost requests, and by no requests at all', () => {
    const slo = parseSlo('p50<100ms,p95<200ms,errors<5%');
    expect(brokenConditions(slo, experienceOf([]))).toEqual(['the time was too short for a single request']);
    expect(brokenConditions(slo, experience(99))).toEqual([]);
    expect(brokenConditions(slo, experience(100))).toEqual(['e2el p50 is 100 ms']);
    const lost = experienceOf([trace(50, 'cut')]);
    for (const kind of ['', 'ttft.', 'itl.'])
      expect(brokenConditions(parseSlo(`${kind}p50<100ms`), lost)).toHaveLength(1);
    const streamed = (error?: string) => ({ ...trace(100, error), tokenAtMs: [20, 40, 60, 80, 100] });
    const someLost = (count: number) =>
      experienceOf([
        ...Array.from({ length: 20 - count }, () => streamed()),
        ...Array.from({ length: count }, () => streamed('cut')),
      ]);
    expect(brokenConditions(parseSlo('itl.p90<50ms'), someLost(2))).toEqual([]);
    expect(brokenConditions(parseSlo('itl.p90<50ms'), someLost(3))).toEqual(['itl p90 is infinite']);
    const lossy = experienceOf([...Array.from({ length: 9 }, () => trace(50)), trace(50, 'cut')]);
    expect(brokenConditions(slo, lossy)).toEqual(['e2el p95 is infinite', 'errors are 10.0 %']);
    expect(brokenConditions(parseSlo('itl.p50<1ms'), experience(9))).toEqual([]);
  });
});

describe('the capacity', () => {
  /** The queue grows without bound towards 100 requests per second. */
  const tryRate = async (rate: number) => experience(rate < 100 ? 10 / (1 - rate / 100) : Number.POSITIVE_INFINITY);

  test('is the highest rate that keeps the SLO, within 5 %', async () => {
    const capacity = await findCapacity(parseSlo('p95<100ms'), 5, tryRate);
    expect(capacity.highestRate).toBeLessThan(90);
    expect(capacity.highestRate).toBeGreaterThan(85);
    expect(capacity.safeRate).toBeCloseTo(0.7 * capacity.highestRate);
    const rates = capacity.probes.map(({ rate }) => rate);
    expect(rates).toEqual(rates.toSorted((a, b) => a - b));
    expect(new Set(rates).size).toBe(rates.length);
  });

  test('has its knee where latency begins to grow', async () => {
    const { kneeRate } = await findCapacity(parseSlo('p95<1000ms'), 5, tryRate);
    expect(kneeRate).toBeGreaterThan(60);
    expect(kneeRate).toBeLessThan(95);
  });

  test('is zero if no rate keeps the SLO', async () => {
    const capacity = await findCapacity(parseSlo('p95<1ms'), 4, tryRate);
    expect(capacity).toMatchObject({ highestRate: 0, safeRate: 0 });
  });

  test('the search ends', async () => {
    const { probes } = await findCapacity(parseSlo('p95<1ms'), 1, async () => experience(0));
    expect(probes).toHaveLength(20);
  });
});
