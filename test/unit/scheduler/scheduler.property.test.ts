import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EngineError, type Step, type StepLimits, type StepRow } from '../../../src/core/index.ts';
import { Scheduler, type Sequence } from '../../../src/scheduler/index.ts';
import { sequence } from '../../support/builders.ts';

const limits: StepLimits = { maxBatchSize: 5, maxModelLen: 64, maxStepTokens: 17 };
const promptBudget = limits.maxStepTokens - limits.maxBatchSize;
const EOS = 2;

/** What happens during one step. */
const stepEvents = fc.record({
  arrivals: fc.array(
    fc.record({
      promptLength: fc.integer({ min: 1, max: 40 }),
      maxNewTokens: fc.integer({ min: 1, max: 9 }),
      n: fc.integer({ min: 1, max: 5 }),
    }),
    {
      maxLength: 4,
    },
  ),
  /** Which of the live sequences is aborted while the step runs, if any. */
  aborted: fc.option(fc.nat(20), { freq: 4 }),
  fails: fc.boolean(),
  isEos: fc.array(fc.boolean(), { maxLength: 9 }),
  /** Which rows fail. */
  isBroken: fc.array(fc.boolean(), { maxLength: 3 }),
  elapsedMs: fc.integer({ min: 0, max: 120 }),
});

/** A model of the KV cache: the tokens whose keys and values each slot holds. */
class CacheModel {
  readonly #slots: (readonly number[])[] = [];

  run({ moves, rows }: Step): void {
    for (const { from, to, numTokens } of moves) this.#slots[to] = this.#cached(from, numTokens);
    for (const { slot, start, tokenIds } of rows) this.#slots[slot] = [...this.#cached(slot, start), ...tokenIds];
  }

  /** Each row attends to the first tokens of its sequence, and samples the next one if it attends to all known tokens. */
  checkAttended({ rows }: Step, running: readonly Sequence[]): void {
    for (const [i, { promptTokenIds, outputTokenIds }] of running.entries()) {
      const known = [...promptTokenIds, ...outputTokenIds];
      const row = rows[i];
      const attended = this.#slots[row?.slot ?? 0] ?? [];
      expect(attended).toEqual(known.slice(0, attended.length));
      expect(row?.sample?.tokenIndex).toBe(attended.length === known.length ? outputTokenIds.length : undefined);
    }
  }

  #cached(slot: number, numTokens: number): readonly number[] {
    const cached = (this.#slots[slot] ?? []).slice(0, numTokens);
    expect(cached).toHaveLength(numTokens);
    return cached;
  }
}

function checkStep({ rows }: Step, running: readonly Sequence[]): void {
  expect(rows.map(({ slot }) => slot)).toEqual(running.map(({ slot }) => slot));
  expect(rows.every(({ slot }) => slot >= 0 && slot < limits.maxBatchSize)).toBe(true);
  expect(rows.map(({ start }) => start)).toEqual(running.map(({ numComputedTokens }) => numComputedTokens));

  const isDecoding = (_: StepRow, i: number) => running[i]?.isDecoding === true;
  const decoding = rows.filter(isDecoding);
  expect(decoding.map(({ slot }) => slot)).toEqual(decoding.map((_, i) => i));
  expect(decoding.every(({ tokenIds, sample }) => tokenIds.length === 1 && sample !== undefined)).toBe(true);

  const fresh = rows.filter(({ start }) => start === 0);
  const firstFresh = rows.length - fresh.length;
  expect(rows.slice(firstFresh)).toEqual(fresh);
  expect(fresh.map(({ slot }) => slot - (fresh[0]?.slot ?? 0))).toEqual(fresh.map((_, i) => i));

  const prompts = rows.filter((row, i) => !isDecoding(row, i));
  expect(prompts.every(({ tokenIds }) => tokenIds.length > 0)).toBe(true);
  expect(prompts.reduce((sum, { tokenIds }) => sum + tokenIds.length, 0)).toBeLessThanOrEqual(promptBudget);
}

const bySlot = (a: Sequence, b: Sequence) => (a.slot ?? 0) - (b.slot ?? 0);

test('whatever arrives, is aborted or fails, each sequence finishes once, slots are neither lost nor shared, and prompts start in order', () => {
  fc.assert(
    fc.property(fc.array(stepEvents, { maxLength: 40 }), fc.boolean(), (allEvents, mayFail) => {
      const target = new Scheduler({ limits, batchTimeoutMs: 100, maxQueueSize: 1000 });
      const cache = new CacheModel();
      const all: Sequence[] = [];
      /** All answers to the same prompt, for each of them. */
      const answersWith = new Map<Sequence, readonly Sequence[]>();
      let nowMs = 0;
      const ends = new Map<Sequence, string>();
      const checkEnds = () => {
        for (const each of all) {
          if (each.finishReason === undefined) continue;
          expect(ends.get(each) ?? each.finishReason).toBe(each.finishReason);
          ends.set(each, each.finishReason);
        }
      };
      /** An answer alone ends at a stop string, which takes a token. A client that leaves ends all of its answers. */
      const end = (victim: Sequence) => {
        const ended = victim.outputTokenIds.length > 0 ? [victim] : (answersWith.get(victim) ?? []);
        for (const each of ended) target.finish(each, 'abort');
      };
      const arrive = (arrival: {
        readonly promptLength: number;
        readonly maxNewTokens: number;
        readonly n: number;
      }) => {
        const arrived = sequence(String(all.length), { ...arrival, arrivedAtMs: nowMs });
        const answers = [arrived, ...arrived.forks];
        all.push(...answers);
        for (const answer of answers) answersWith.set(answer, answers);
        target.add(arrived);
      };
      const live = () => all.filter(({ status }) => status !== 'finished');
      const runStep = ({
        arrivals,
        aborted,
        fails,
        isEos,
        isBroken,
        elapsedMs,
      }: typeof stepEvents extends fc.Arbitrary<infer T> ? T : never) => {
        for (const arrival of arrivals) arrive(arrival);
        const planned = target.schedule(nowMs);
        nowMs += elapsedMs;
        expect(planned === undefined).toBe(live().length === 0);
        if (planned === undefined) return;
        const running = all.filter(({ slot }) => slot !== undefined).sort(bySlot);
        checkStep(planned, running);
        cache.run(planned);
        cache.checkAttended(planned, running);
        const victim = aborted === null ? undefined : live()[aborted];
        if (victim !== undefined) end(victim);
        if (mayFail && fails) {
          target.fail();
          return;
        }
        const results = planned.rows.map(({ sample }, i) => {
          if (mayFail && isBroken[i]) return new EngineError('broken');
          return { tokens: (sample?.choices ?? []).map((choice) => ({ id: isEos[i + choice] ? EOS : 7 })) };
        });
        for (const { sequence: s } of target.update(results, nowMs)) expect(s.finishReason).not.toBe('abort');
      };

      for (const each of allEvents) {
        runStep(each);
        checkEnds();
      }
      // A prompt of 40 tokens takes four steps and an output of 9 tokens nine more. Each may wait for the timeout and for all earlier ones.
      const enough = 30 + all.length * 20;
      for (let i = 0; i < enough && live().length > 0; i++) {
        runStep({ arrivals: [], aborted: null, fails: false, isEos: [], isBroken: [], elapsedMs: 50 });
      }

      checkEnds();
      expect(live()).toEqual([]);
      expect(all.every(({ finishReason, slot }) => finishReason !== undefined && slot === undefined)).toBe(true);
      expect(target.numFreeSlots).toBe(limits.maxBatchSize);
      expect(target.numWaiting).toBe(0);
      const started = all.flatMap(({ scheduledAtMs }) => (scheduledAtMs === undefined ? [] : [scheduledAtMs]));
      expect(started).toEqual([...started].sort((a, b) => a - b));
      for (const { finishReason, outputTokenIds, maxNewTokens } of all) {
        if (finishReason === 'length') expect(outputTokenIds).toHaveLength(maxNewTokens);
        if (finishReason === 'stop') expect(outputTokenIds.at(-1)).toBe(EOS);
      }
    }),
    { numRuns: 300 },
  );
});
