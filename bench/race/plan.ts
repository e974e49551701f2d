import { type ScenarioName, scenarios } from './scenarios.ts';

/** How long a run takes. */
interface Times {
  readonly warmUpMs: number;
  readonly measureMs: number;
}

/** How much of the race is run. */
export interface RacePlan {
  readonly model: string;
  readonly rounds: number;
  readonly times: Times;
  /** Of those who batch: a static batch of `mixed` lasts longer than most runs. */
  readonly mixedTimes: Times;
  /** Users of the curve of throughput against concurrency. */
  readonly users: readonly number[];
  readonly scenarios: readonly ScenarioName[];
}

/** Some three minutes on two cores, on the embedded model. */
export const quickPlan: RacePlan = {
  model: 'opt-stories',
  rounds: 3,
  times: { warmUpMs: 500, measureMs: 1500 },
  mixedTimes: { warmUpMs: 500, measureMs: 2500 },
  users: [1, 10, 40],
  scenarios: ['seed', 'mixed', 'burst'],
};

/** Some twenty minutes on two cores, on random weights of the published size. */
export const fullPlan: RacePlan = {
  model: 'opt-125m-random',
  rounds: 3,
  times: { warmUpMs: 3000, measureMs: 8000 },
  mixedTimes: { warmUpMs: 8000, measureMs: 24_000 },
  users: [1, 5, 10, 20, 40, 80],
  scenarios: Object.keys(scenarios).filter((name): name is ScenarioName => name !== 'long' && name in scenarios),
};

const bothScenarios: readonly ScenarioName[] = ['seed', 'mixed'];

/** What takes one request at a time is slow. */
const slow: readonly string[] = ['cold', 'naive', 'naive-engine', 'fastapi'];

/** Who runs all scenarios, and not only the two that everybody runs. */
const everywhere: readonly string[] = ['static', 'continuous'];

/** Who joins the curve of throughput against concurrency. */
const onTheCurve: readonly string[] = ['naive', ...everywhere];

export function scenariosFor(contestant: string, plan: RacePlan): readonly ScenarioName[] {
  return plan.scenarios.filter((name) => everywhere.includes(contestant) || bothScenarios.includes(name));
}

export function usersFor(contestant: string, plan: RacePlan): readonly number[] {
  return onTheCurve.includes(contestant) ? plan.users : [];
}

export function timesFor(contestant: string, scenario: string, { times, mixedTimes }: RacePlan): Times {
  return scenario === 'mixed' && !slow.includes(contestant) ? mixedTimes : times;
}
