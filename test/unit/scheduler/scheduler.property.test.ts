import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EngineError, type Sequence, type Step, type StepLimits } from '../../../src/core/index.ts';
import { Scheduler } from '../../../src/scheduler/index.ts';
import { sequence } from '../../support/builders.ts';

const limits: StepLimits = { maxBatchSize: 5, maxModelLen: 64, maxStepTokens: 17 };
const promptBudget = limits.maxStepTokens - limits.maxBatchSize;
const EOS = 2;

/** What happens around one step. */
const happening = fc.record({
  arrivals: fc.array(
    fc.record({ promptLength: fc.integer({ min: 1, max: 40 }), maxNewTokens: fc.integer({ min: 1, max: 9 }) }),
    {
      maxLength: 4,
    },
  ),
  /** Which of the live sequences leaves while the step runs, if any. */
  leaver: fc.option(fc.nat(20), { freq: 4 }),
  fails: fc.boolean(),
  isEos: fc.array(fc.boolean(), { maxLength: 5 }),
  /** Which rows end with an error. */
  isBroken: fc.array(fc.boolean(), { maxLength: 3 }),
  elapsedMs: fc.integer({ min: 0, max: 120 }),
});

/** The cache as the steps leave it: which sequence's tokens lie in each slot, and how many. */
class CacheModel {
  readonly #slots: ({ id: string; numTokens: number } | undefined)[] = [];

  run({ moves, rows }: Step): void {
    for (const { from, to, numTokens } of moves) {
      expect(this.#slots[from]?.numTokens).toBe(numTokens);
      this.#slots[to] = this.#slots[from];
    }
    for (const { sequence: s, slot, numNewTokens } of rows) {
      if (s.numComputedTokens > 0) expect(this.#slots[slot]).toEqual({ id: s.id, numTokens: s.numComputedTokens });
      this.#slots[slot] = { id: s.id, numTokens: s.numComputedTokens + numNewTokens };
    }
  }

  /** What a failed step has written counts for nothing. */
  discard({ rows }: Step): void {
    for (const { sequence: s, slot } of rows) this.#slots[slot] = { id: s.id, numTokens: s.numComputedTokens };
  }
}

function checkStep({ rows }: Step, running: readonly Sequence[]): void {
  const slots = rows.map(({ slot }) => slot);
  expect(slots).toEqual([...new Set(slots)].sort((a, b) => a - b));
  expect(slots.every((slot) => slot >= 0 && slot < limits.maxBatchSize)).toBe(true);
  expect(new Set(rows.map((row) => row.sequence))).toEqual(new Set(running));

  const decoding = rows.filter((row) => row.sequence.isDecoding);
  expect(decoding.map(({ slot }) => slot)).toEqual(decoding.map((_, i) => i));
  expect(decoding.every(({ numNewTokens }) => numNewTokens === 1)).toBe(true);

  const fresh = rows.filter((row) => row.sequence.numComputedTokens === 0);
  const firstFresh = rows.length - fresh.length;
  expect(rows.slice(firstFresh)).toEqual(fresh);
  expect(fresh.map(({ slot }) => slot - (fresh[0]?.slot ?? 0))).toEqual(fresh.map((_, i) => i));

  const prompts = rows.filter((row) => !row.sequence.isDecoding);
  expect(prompts.every(({ numNewTokens }) => numNewTokens > 0)).toBe(true);
  expect(prompts.reduce((sum, { numNewTokens }) => sum + numNewTokens, 0)).toBeLessThanOrEqual(promptBudget);
}

test('whatever arrives, leaves and fails: every sequence ends once, no slot is lost or held twice, nobody is overtaken', () => {
  fc.assert(
    fc.property(fc.array(happening, { maxLength: 40 }), fc.boolean(), (happenings, mayFail) => {
      const target = new Scheduler({ limits, eosTokenIds: new Set([EOS]), batchTimeoutMs: 100, maxQueueSize: 1000 });
      const cache = new CacheModel();
      const all: Sequence[] = [];
      let nowMs = 0;
      const ends = new Map<Sequence, string>();
      const checkEnds = () => {
        for (const each of all) {
          if (each.finishReason === undefined) continue;
          expect(ends.get(each) ?? each.finishReason).toBe(each.finishReason);
          ends.set(each, each.finishReason);
        }
      };
      const live = () => all.filter(({ status }) => status !== 'finished');
      const runStep = ({
        arrivals,
        leaver,
        fails,
        isEos,
        isBroken,
        elapsedMs,
      }: typeof happening extends fc.Arbitrary<infer T> ? T : never) => {
        for (const arrival of arrivals) {
          const arrived = sequence(String(all.length), { ...arrival, arrivedAtMs: nowMs });
          all.push(arrived);
          target.add(arrived);
        }
        const planned = target.schedule(nowMs);
        nowMs += elapsedMs;
        expect(planned === undefined).toBe(live().length === 0);
        if (planned === undefined) return;
        checkStep(
          planned,
          all.filter(({ status }) => status === 'running'),
        );
        cache.run(planned);
        const leaving = leaver === null ? undefined : live()[leaver];
        if (leaving !== undefined) target.finish(leaving, 'abort');
        if (mayFail && fails) {
          target.fail(planned);
          cache.discard(planned);
          return;
        }
        const results = planned.rows.map(({ sequence: s, numNewTokens }, i) => {
          if (s.numComputedTokens + numNewTokens < s.numTokens) return undefined;
          if (mayFail && isBroken[i]) return new EngineError('broken');
          return { tokenId: isEos[i] ? EOS : 7 };
        });
        for (const { sequence: s } of target.update(planned, results, nowMs)) expect(s.finishReason).not.toBe('abort');
      };

      for (const each of happenings) {
        runStep(each);
        checkEnds();
      }
      // Forty tokens of prompt take four steps, nine of output nine more, and each may wait for the timeout and for all before it.
      const enough = 30 + all.length * 20;
      for (let i = 0; i < enough && live().length > 0; i++) {
        runStep({ arrivals: [], leaver: null, fails: false, isEos: [], isBroken: [], elapsedMs: 50 });
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
