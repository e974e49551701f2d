import { agreementOf, answersOf } from './agreement.ts';
import type { Contestant, Measured } from './measure.ts';
import { measure, withServer } from './measure.ts';
import { type RacePlan, scenariosFor, timesFor, usersFor } from './plan.ts';
import type { ContestantResult, Results, Run } from './results.ts';
import { type Scenario, scenarios } from './scenarios.ts';
import { lanesOf, stagesOf } from './stages.ts';

/** What the tokens of all others are compared with. */
export const reference = 'naive';

/** Who computes in float32 and so has to give the same tokens. */
const isExact = (name: string) => !name.includes('int8');

/** Some prompts of each kind: the check is made before anything is timed. */
const checked = { scenarios: [scenarios.seed, { ...scenarios.mixed, newTokens: [16, 24] as const }], numEach: 5 };

export interface RaceOptions {
  readonly plan: RacePlan;
  readonly contestants: readonly Contestant[];
  readonly results: Results;
  readonly signal: AbortSignal;
  /** Called whenever there is something new. */
  onProgress(line: string): void;
}

/** Runs the race: agreement, then rounds in alternating order, then the curve. What goes wrong with one contestant is noted with it. */
export class Race {
  readonly #options: RaceOptions;
  #numDone = 0;
  readonly #numRuns: number;

  constructor(options: RaceOptions) {
    const { plan, contestants } = options;
    this.#options = options;
    const each = contestants.map(
      ({ name }) => plan.rounds * scenariosFor(name, plan).length + usersFor(name, plan).length,
    );
    this.#numRuns = each.reduce((sum, count) => sum + count, 0);
    options.results.contestants.push(...contestants.map(({ name, description }) => ({ name, description })));
  }

  /** @throws {Error} `naive` and `continuous` do not give the same tokens: nothing is worth timing then */
  async run(): Promise<void> {
    await this.#checkAgreement();
    const { plan, contestants } = this.#options;
    for (let round = 0; round < plan.rounds; round++) {
      for (const contestant of round % 2 === 0 ? contestants : contestants.toReversed()) {
        const runs = scenariosFor(contestant.name, plan).map((scenario): Omit<Run, 'summary' | 'problem'> => {
          return { contestant: contestant.name, scenario, round };
        });
        await this.#runAll(contestant, runs);
      }
    }
    for (const contestant of contestants) {
      const runs = usersFor(contestant.name, plan).map((users) => {
        return { contestant: contestant.name, scenario: 'seed', round: 0, users };
      });
      await this.#runAll(contestant, runs);
    }
    this.#options.results.isComplete = true;
  }

  async #checkAgreement(): Promise<void> {
    const { contestants, results, signal, onProgress } = this.#options;
    const first = contestants.find(({ name }) => name === reference);
    if (first === undefined) return;
    const answer = (contestant: Contestant) =>
      withServer(contestant, signal, (server) => answersOf(server, contestant, { ...checked, signal }));
    const expected = await answer(first).catch((error: unknown) => {
      signal.throwIfAborted();
      throw new Error(`${first.name}: ${messageOf(error)}; its tokens are those that all others have to give`);
    });
    for (const contestant of contestants.filter((each) => each !== first)) {
      const result = this.#resultOf(contestant);
      try {
        const agreement = agreementOf(await answer(contestant), expected);
        result.agreement = agreement;
        const { numSame, numTokens } = agreement;
        onProgress(`${contestant.name}: ${numSame} of ${numTokens} tokens are those of ${reference}`);
        if (isExact(contestant.name) && numSame < numTokens) {
          result.problem = `answers wrongly: ${numTokens - numSame} of ${numTokens} tokens are not those of ${reference}`;
        }
      } catch (error) {
        signal.throwIfAborted();
        this.#fail(result, error);
      }
    }
    const problem = results.contestants.find(({ name }) => name === 'continuous')?.problem;
    if (problem !== undefined) throw new Error(`continuous ${problem}: there is nothing to report`);
  }

  /** Runs one after the other, each on a fresh server: none works for clients of an earlier one. */
  async #runAll(contestant: Contestant, runs: readonly Omit<Run, 'summary' | 'problem'>[]): Promise<void> {
    for (const run of runs) await this.#runOne(contestant, run);
  }

  /** A contestant that cannot be started or dies is out. What it does not answer in time is lost to it, and no more. */
  async #runOne(contestant: Contestant, run: Omit<Run, 'summary' | 'problem'>): Promise<void> {
    const { plan, signal } = this.#options;
    const result = this.#resultOf(contestant);
    if (result.problem !== undefined) {
      this.#add({ ...run, problem: result.problem });
      return;
    }
    const options = { ...timesFor(contestant.name, run.scenario, plan), slo: { ttftMs: 500 }, signal };
    try {
      await withServer(contestant, signal, async (server) => {
        try {
          const measured = await measure(server, contestant, scenarioOf(run), options);
          if (run.scenario === 'seed' && run.users === undefined) this.#keep(contestant, measured);
          this.#add({ ...run, summary: measured.summary });
        } catch (error) {
          signal.throwIfAborted();
          if (server.hasEnded) throw error;
          this.#add({ ...run, problem: messageOf(error) });
        }
      });
    } catch (error) {
      signal.throwIfAborted();
      this.#fail(result, error);
      this.#add({ ...run, problem: messageOf(error) });
    }
  }

  #keep(contestant: Contestant, { traces, window }: Measured): void {
    const result = this.#resultOf(contestant);
    result.stages = stagesOf(traces.filter(({ endedAtMs }) => endedAtMs >= window.fromMs && endedAtMs < window.toMs));
    result.lanes = lanesOf(traces, window.fromMs);
  }

  #add(run: Run): void {
    this.#options.results.runs.push(run);
    const { contestant, scenario, round, users, summary, problem = '' } = run;
    const what = users === undefined ? `round ${round + 1}, ${scenario}` : `${users} users`;
    const came = summary
      ? `${summary.requestsPerSecond.toFixed(1)} requests/s, ${summary.tokensPerSecond.toFixed(0)} tokens/s`
      : problem;
    this.#options.onProgress(`[${++this.#numDone}/${this.#numRuns}] ${contestant}, ${what}: ${came}`);
  }

  #fail(result: ContestantResult, error: unknown): void {
    result.problem = messageOf(error);
    this.#options.onProgress(`${result.name}: ${result.problem}`);
  }

  #resultOf({ name }: Contestant): ContestantResult {
    const result = this.#options.results.contestants.find((each) => each.name === name);
    if (result === undefined) throw new Error(`${name} does not take part`);
    return result;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function scenarioOf({ scenario, users }: Run): Scenario {
  const found = Object.values(scenarios).find(({ name }) => name === scenario);
  if (found === undefined) throw new Error(`there is no scenario ${scenario}`);
  return users === undefined ? found : { ...found, arrivals: { kind: 'closed', users } };
}
