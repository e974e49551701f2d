import { type ScenarioName, scenarios } from './scenarios.ts';

/** How much of the race is run. */
export interface RacePlan {
  readonly model: string;
  readonly rounds: number;
  readonly warmUpMs: number;
  readonly measureMs: number;
  /** Users of the curve of throughput against concurrency. */
  readonly users: readonly number[];
  readonly scenarios: readonly ScenarioName[];
}

/** Some three minutes on two cores, on the embedded model. */
export const quickPlan: RacePlan = {
  model: 'opt-stories',
  rounds: 3,
  warmUpMs: 500,
  measureMs: 1500,
  users: [1, 10, 40],
  scenarios: ['seed', 'mixed', 'burst'],
};

/** Some twenty minutes on two cores, on random weights of the published size. */
export const fullPlan: RacePlan = {
  model: 'opt-125m-random',
  rounds: 3,
  warmUpMs: 3000,
  measureMs: 8000,
  users: [1, 5, 10, 20, 40, 80],
  scenarios: Object.keys(scenarios).filter((name): name is ScenarioName => name !== 'long' && name in scenarios),
};

/** What takes one request at a time runs little: it is slow, and nothing new comes of it. */
const slow: readonly string[] = ['cold', 'naive', 'naive-engine', 'fastapi'];
const slowScenarios: readonly ScenarioName[] = ['seed', 'mixed'];

/** Who joins the curve of throughput against concurrency. */
const onTheCurve: readonly string[] = ['naive', 'static', 'continuous'];

export function scenariosFor(contestant: string, plan: RacePlan): readonly ScenarioName[] {
  return slow.includes(contestant) ? plan.scenarios.filter((name) => slowScenarios.includes(name)) : plan.scenarios;
}

export function usersFor(contestant: string, plan: RacePlan): readonly number[] {
  return onTheCurve.includes(contestant) ? plan.users : [];
}
