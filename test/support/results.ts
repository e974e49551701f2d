import type { Results, Run } from '../../bench/race/results.ts';
import { summarize } from '../../src/load/index.ts';

/** Made-up results of a race: `naive` answers 10 requests per second, `static` 40 and `continuous` 80. */
export function raceResults(): Results {
  const contestants = ['naive', 'static', 'continuous'].map((name) => ({
    name,
    description: `the ${name} one`,
    stages: { queue: { p50: 1, p90: 2, p95: 3, p99: 4 }, decode: { p50: 5, p90: 6, p95: 7, p99: 8 } },
    lanes: [
      { sentMs: 0, startedMs: 5, firstTokenMs: 50, endedMs: 90 },
      { sentMs: 10, startedMs: 20, firstTokenMs: 60, endedMs: 100 },
    ],
  }));
  const rates: Readonly<Record<string, number>> = { naive: 10, static: 40, continuous: 80 };
  const runs = contestants.flatMap(({ name }): Run[] => {
    const summary = summarize(tracesOf(rates[name] ?? 0), { fromMs: 0, toMs: 1000 });
    return [
      ...['seed', 'mixed'].map((scenario) => ({ contestant: name, scenario, round: 0, summary })),
      { contestant: name, scenario: 'seed', round: 0, users: 40, summary },
    ];
  });
  return {
    startedAt: '2026-01-02T03:04:05.678Z',
    isComplete: true,
    command: 'npm run bench',
    model: 'opt-stories',
    machine: { cpu: 'a <fast> one', cores: 2, memoryGiB: 8, system: 'Linux' },
    commit: 'abc1234',
    versions: { node: 'v20.0.0' },
    maxBatchSize: 50,
    scenarios: { seed: '40 users', mixed: 'all kinds' },
    contestants,
    runs,
  };
}

function tracesOf(perSecond: number) {
  return Array.from({ length: perSecond }, (_, i) => {
    const sentAtMs = (i * 1000) / perSecond;
    const endedAtMs = sentAtMs + 1000 / perSecond - 1;
    const tokenAtMs = [sentAtMs + 5, endedAtMs];
    return { sentAtMs, endedAtMs, tokenAtMs, tokenIds: [], isStreamed: true, timings: {}, error: undefined };
  });
}
