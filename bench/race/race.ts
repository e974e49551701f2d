import type { RequestTrace } from '../../src/load/index.ts';
import { agreementOf, answersOf } from './agreement.ts';
import type { Racer } from './contestants.ts';
import { type Measured, measure, withServer } from './measure.ts';
import { type RacePlan, scenariosFor, timesFor, usersFor } from './plan.ts';
import type { ContestantResult, Results, Run } from './results.ts';
import { type Scenario, scenarios } from './scenarios.ts';
import { lanesOf, stagesOf } from './stages.ts';

/** Prompts of each kind for the check before anything is timed. */
const checked = { scenarios: [scenarios.seed, { ...scenarios.mixed, newTokens: [16, 24] as const }], numEach: 5 };

export interface RaceOptions {
  readonly plan: RacePlan;
  readonly contestants: readonly Racer[];
  /** Provides the tokens to compare with, whether or not it races. */
  readonly reference: Racer;
  readonly results: Results;
  readonly signal: AbortSignal;
  /** Called with each new result. */
  onProgress(line: string): void;
}

/** Runs the race: the agreement check, then rounds in alternating order, then the curve once. A contestant's problems are part of its results. */
export class Race {
  readonly #options: RaceOptions;
  #numDone = 0;
  readonly #answered = new Map<string, RequestTrace[]>();
  readonly #numRuns: number;

  constructor(options: RaceOptions) {
    const { plan, contestants } = options;
    this.#options = options;
    const each = contestants.map(
      (racer) => plan.rounds * scenariosFor(racer, plan).length + usersFor(racer, plan).length,
    );
    this.#numRuns = each.reduce((sum, count) => sum + count, 0);
    options.results.contestants.push(...contestants.map(({ name, description }) => ({ name, description })));
  }

  /** @throws {Error} `naive` and `continuous` do not give the same tokens, so timing them makes no sense */
  async run(): Promise<void> {
    await this.#checkAgreement();
    const { plan, contestants } = this.#options;
    for (let round = 0; round < plan.rounds; round++) {
      for (const contestant of round % 2 === 0 ? contestants : contestants.toReversed()) {
        const runs = scenariosFor(contestant, plan).map((scenario): Omit<Run, 'summary' | 'problem'> => {
          return { contestant: contestant.name, scenario, round };
        });
        await this.#runAll(contestant, runs);
      }
    }
    for (const contestant of contestants) {
      const runs = usersFor(contestant, plan).map((users) => {
        return { contestant: contestant.name, scenario: 'seed', round: 0, users };
      });
      await this.#runAll(contestant, runs);
    }
    this.#options.results.isComplete = true;
  }

  async #checkAgreement(): Promise<void> {
    const { plan, contestants, reference, results, signal, onProgress } = this.#options;
    const options = { ...checked, signal, timeoutMs: plan.checkTimeoutMs };
    const answer = (racer: Racer) => withServer(racer, signal, (server) => answersOf(server, racer, options));
    const expected = await answer(reference).catch((error: unknown) => {
      signal.throwIfAborted();
      throw new Error(`${reference.name}: ${messageOf(error)}; without its tokens the others cannot be checked`);
    });
    for (const racer of contestants.filter(({ name }) => name !== reference.name)) {
      const result = this.#resultOf(racer);
      try {
        const agreement = agreementOf(await answer(racer), expected);
        result.agreement = agreement;
        const { numSame, numTokens } = agreement;
        onProgress(`${racer.name}: ${numSame} of ${numTokens} tokens are equal to ${reference.name}`);
        if (racer.isExact && numSame < numTokens) {
          result.problem = `gives wrong tokens: ${numTokens - numSame} of ${numTokens} differ from ${reference.name}`;
        }
      } catch (error) {
        signal.throwIfAborted();
        this.#fail(result, error);
      }
    }
    const problem = results.contestants.find(({ name }) => name === 'continuous')?.problem;
    if (problem !== undefined) throw new Error(`continuous ${problem}: there is nothing to report`);
  }

  /** Runs one after the other, each on a fresh server, so that no server still works for clients of an earlier run. */
  async #runAll(contestant: Racer, runs: readonly Omit<Run, 'summary' | 'problem'>[]): Promise<void> {
    for (const run of runs) await this.#runOne(contestant, run);
  }

  /** A contestant that does not start, or exits, is out. One that does not answer in time loses only this run. */
  async #runOne(contestant: Racer, run: Omit<Run, 'summary' | 'problem'>): Promise<void> {
    const { plan, signal } = this.#options;
    const result = this.#resultOf(contestant);
    if (result.problem !== undefined) {
      this.#add({ ...run, problem: result.problem });
      return;
    }
    const options = { ...timesFor(contestant, run, plan), slo: { ttftMs: 500 }, signal };
    try {
      await withServer(contestant, signal, async (server) => {
        try {
          const measured = await measure(server, contestant, scenarioOf(run), options);
          if (run.users === undefined) this.#keep(contestant, run.scenario, measured);
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

  /** Keeps the stages of all rounds of `seed`, and the lanes of the last round of `mixed`, which has sequences of all lengths. */
  #keep(contestant: Racer, scenario: string, { traces, window }: Measured): void {
    const result = this.#resultOf(contestant);
    if (scenario === 'mixed') result.lanes = lanesOf(traces, window);
    if (scenario !== 'seed') return;
    const known = this.#answered.get(contestant.name) ?? [];
    known.push(...traces.filter(({ endedAtMs }) => endedAtMs >= window.fromMs && endedAtMs < window.toMs));
    this.#answered.set(contestant.name, known);
    // OpenAI's dialect reports no timings.
    if (known.some(({ timings }) => Object.keys(timings).length > 0)) result.stages = stagesOf(known);
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

  #resultOf({ name }: Racer): ContestantResult {
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
