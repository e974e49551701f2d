import { expect, test } from 'vitest';
import { fullRate, instancesFor, safeRate, serviceTimeMs, tune, worstCaseMs } from '../../../src/load/index.ts';

const service = { fixedMs: 6, perRequestMs: 4 };

test('6 ms and 4 ms for each of 8: 38 ms, 58 ms with a wait of 20, 210 requests a second', () => {
  expect(serviceTimeMs(service, 8)).toBe(38);
  expect(worstCaseMs(service, 8, 20)).toBe(58);
  expect(Math.floor(fullRate(service, 8))).toBe(210);
});

test('12 ms on 2 workers at 70 %: 117 requests a second each, and 7 instances for 600 with 20 % headroom', () => {
  const each = safeRate(12, 2, 0.7);
  expect(Math.round(each)).toBe(117);
  expect(instancesFor(600, 0.2, each)).toBe(7);
});

test('the smallest batch that is fast enough, with a timeout that fits', () => {
  const tuned = tune(service, { limitMs: 120, rate: 200, maxBatchSize: 50 });
  expect(tuned).toMatchObject({ batchSize: 8, timeoutMs: 35, worstCaseMs: 73 });
  expect(tune(service, { limitMs: 40, rate: 200, maxBatchSize: 50 })).toMatchObject({ timeoutMs: 2, worstCaseMs: 40 });
});

test('a limit that cannot be kept has no tuning', () => {
  expect(tune(service, { limitMs: 120, rate: 251, maxBatchSize: 1000 })).toBeUndefined();
  expect(tune(service, { limitMs: 20, rate: 200, maxBatchSize: 50 })).toBeUndefined();
  expect(tune(service, { limitMs: 120, rate: 200, maxBatchSize: 7 })).toBeUndefined();
});
