import type { Racer } from './contestants.ts';
import type { Run } from './results.ts';
import type { ScenarioName } from './scenarios.ts';

/** Durations of a run. */
interface Times {
  readonly warmUpMs: number;
  readonly measureMs: number;
}

/** What the race runs, and for how long. */
export interface RacePlan {
  readonly model: string;
  readonly rounds: number;
  /** Longest time without data from a server while its tokens are checked (ms). */
  readonly checkTimeoutMs: number;
  readonly times: Times;
  /** `mixed`, on servers that batch: a static batch takes longer than most runs. */
  readonly mixedTimes: Times;
  /** The curve. A single user warms a server up slowly: V8 compiles for about four seconds. */
  readonly curveTimes: Times;
  /** Numbers of users for the curve of throughput against concurrency. */
  readonly users: readonly number[];
  readonly scenarios: readonly ScenarioName[];
}

/** Less than four minutes on two cores, on the embedded model. */
export const quickPlan: RacePlan = {
  model: 'opt-stories',
  rounds: 3,
  checkTimeoutMs: 60_000,
  times: { warmUpMs: 500, measureMs: 1500 },
  mixedTimes: { warmUpMs: 500, measureMs: 2500 },
  curveTimes: { warmUpMs: 5000, measureMs: 2000 },
  users: [1, 40],
  scenarios: ['seed', 'mixed'],
};

/** About twenty minutes on two cores, on random weights of the published size. */
export const fullPlan: RacePlan = {
  model: 'opt-125m-random',
  rounds: 3,
  checkTimeoutMs: 60_000,
  times: { warmUpMs: 3000, measureMs: 8000 },
  mixedTimes: { warmUpMs: 8000, measureMs: 24_000 },
  curveTimes: { warmUpMs: 5000, measureMs: 8000 },
  users: [1, 5, 10, 20, 40, 80],
  scenarios: ['seed', 'mixed', 'chat', 'poisson', 'burst'],
};

const scenariosOfAll: readonly ScenarioName[] = ['seed', 'mixed'];

export function scenariosFor({ runsAll }: Racer, { scenarios }: RacePlan): readonly ScenarioName[] {
  return scenarios.filter((name) => runsAll || scenariosOfAll.includes(name));
}

export function usersFor({ isOnCurve }: Racer, { users }: RacePlan): readonly number[] {
  return isOnCurve ? users : [];
}

export function timesFor(
  { isSlow }: Racer,
  { scenario, users }: Pick<Run, 'scenario' | 'users'>,
  { times, mixedTimes, curveTimes }: RacePlan,
): Times {
  if (users !== undefined) return curveTimes;
  return scenario === 'mixed' && !isSlow ? mixedTimes : times;
}
