import { describe, expect, test, vi } from 'vitest';
import { EngineError, greedy, QueueFullError, type Step } from '../../../src/core/index.ts';
import { gatherWhileRunning, Scheduler, type Sequence } from '../../../src/scheduler/index.ts';
import { sequence, traceOfSequences } from '../../support/builders.ts';
import type { StepTrace } from '../../support/step-trace.ts';

const EOS = 2;

function scheduler({ maxBatchSize = 4, maxStepTokens = 24, batchTimeoutMs = 100, maxQueueSize = 100 } = {}): Scheduler {
  return new Scheduler({
    limits: { maxBatchSize, maxModelLen: 64, maxStepTokens },
    batchTimeoutMs,
    maxQueueSize,
  });
}

const traces = new WeakMap<Scheduler, StepTrace>();

/** Describes a planned step. */
function describeStep(target: Scheduler, planned: Step): string {
  const trace = traces.get(target) ?? traceOfSequences();
  traces.set(target, trace);
  return trace.describe(planned);
}

/** Plans a step and gives the same token to every row that samples. @returns what the step was */
function step(target: Scheduler, nowMs = 0, token = 7): string | undefined {
  const planned = target.schedule(nowMs);
  if (planned === undefined) return undefined;
  target.update(sampled(planned, token), nowMs);
  return describeStep(target, planned);
}

function sampled({ rows }: Step, id: number) {
  return rows.map(({ sample }) => ({ tokens: (sample?.choices ?? []).map(() => ({ id })) }));
}

function add(target: Scheduler, ...sequences: Sequence[]): void {
  target.add(...sequences);
}

describe('the scheduler', () => {
  test('prefills a sequence, then decodes one token per step up to the maximum', () => {
    const target = scheduler();
    const a = sequence('a', { maxNewTokens: 3 });
    add(target, a);
    expect([step(target), step(target), step(target), step(target)]).toEqual([
      'prefill a',
      'decode a',
      'decode a',
      undefined,
    ]);
    expect(a).toMatchObject({ status: 'finished', finishReason: 'length', outputTokenIds: [7, 7, 7], slot: undefined });
    expect(target.numFreeSlots).toBe(4);
  });

  test('lets a newcomer join at the next token boundary, not when the batch ends', () => {
    const target = scheduler();
    add(target, sequence('a'));
    expect(step(target)).toBe('prefill a');
    add(target, sequence('b'));
    expect([step(target), step(target)]).toEqual(['decode a + prefill b', 'decode a b']);
  });

  test('gives the slot of the first sequence to finish to the next prompt', () => {
    const target = scheduler({ maxBatchSize: 2 });
    add(target, sequence('a', { maxNewTokens: 2 }), sequence('b', { maxNewTokens: 4 }), sequence('c'));
    expect([step(target), step(target), step(target), step(target)]).toEqual([
      'prefill a b',
      'decode a b',
      'move 1>0; decode b + prefill c',
      'decode b c',
    ]);
  });

  test('splits a long prompt into chunks of the token budget while other sequences decode', () => {
    const target = scheduler({ maxBatchSize: 4, maxStepTokens: 12 });
    add(target, sequence('a'));
    step(target);
    add(target, sequence('long', { promptLength: 20 }));
    expect([step(target), step(target), step(target), step(target)]).toEqual([
      'decode a + prefill long[8]',
      'decode a + prefill long[8]',
      'decode a + prefill long[4]',
      'move 1>0; decode long',
    ]);
  });

  test('starts a long prompt only when the whole budget is left, so that its chunks are always the same', () => {
    const target = scheduler({ maxStepTokens: 12 });
    add(target, sequence('a'), sequence('long', { promptLength: 10 }), sequence('b'));
    expect([step(target), step(target), step(target)]).toEqual([
      'prefill a',
      'decode a + prefill long[8]',
      'decode a + prefill long[2] b',
    ]);
  });

  test('moves the last sequences into slots that become free before them', () => {
    const target = scheduler();
    add(target, sequence('a', { maxNewTokens: 1 }), sequence('b'), sequence('c', { maxNewTokens: 1 }), sequence('d'));
    expect([step(target), step(target)]).toEqual(['prefill a b c d', 'move 3>0; decode d b']);
  });

  test('finishes a sequence at its end-of-sequence token', () => {
    const target = scheduler();
    const a = sequence('a');
    add(target, a);
    expect([step(target), step(target, 0, EOS), step(target)]).toEqual(['prefill a', 'decode a', undefined]);
    expect(a).toMatchObject({ finishReason: 'stop', outputTokenIds: [7, EOS] });
  });

  test('passes end-of-sequence tokens that do not end it', () => {
    const target = scheduler();
    const a = sequence('a', { maxNewTokens: 2, endTokenIds: new Set() });
    add(target, a);
    step(target, 0, EOS);
    step(target, 0, EOS);
    expect(a).toMatchObject({ finishReason: 'length', outputTokenIds: [EOS, EOS] });
  });
});

test('a step is a plain value: it can be compared and cloned, and later tokens do not change it', () => {
  const target = scheduler({ maxStepTokens: 12 });
  const sampling = { ...greedy, temperature: 1, seed: 5 };
  const prompt = (id: string, promptLength: number) => sequence(id, { promptLength, sampling });
  const [a, long] = [prompt('a', 2), prompt('long', 10)];
  add(target, a, long);
  step(target);
  const planned = target.schedule(0);
  expect(planned).toEqual({
    moves: [],
    rows: [
      { slot: 0, start: 2, tokenIds: [7], sample: { params: sampling, tokenIndex: 1, choices: [0] } },
      { slot: 1, start: 0, tokenIds: long.promptTokenIds.slice(0, 8), sample: undefined },
    ],
  });
  expect(structuredClone(planned)).toEqual(planned);
  target.update([{ tokens: [{ id: 8 }] }, { tokens: [] }], 0);
  expect(planned?.rows[0]?.tokenIds).toEqual([7]);
});

test('a row may feed the end of the prompt and what follows it', () => {
  const a = sequence('a', { promptLength: 3 });
  const [first = 0] = a.promptTokenIds;
  a.slot = 0;
  a.outputTokenIds.push(7, 8);
  expect(a.rowOf(5)).toMatchObject({ start: 0, tokenIds: [first, first + 1, first + 2, 7, 8] });
  a.numComputedTokens = 2;
  expect(a.rowOf(2)).toEqual({ slot: 0, start: 2, tokenIds: [first + 2, 7], sample: undefined });
});

test('a step with too few results is a defect', () => {
  const target = scheduler();
  add(target, sequence('a'), sequence('b'));
  target.schedule(0);
  expect(() => target.update([{ tokens: [{ id: 7 }] }], 0)).toThrow('a step of 2 rows has 1 results');
});

describe('aborting a sequence', () => {
  test('that is waiting costs no step', () => {
    const target = scheduler();
    const a = sequence('a');
    add(target, a, sequence('b'));
    target.finish(a, 'abort');
    expect(step(target)).toBe('prefill b');
  });

  test('during a step drops its token and frees its slot for the next one', () => {
    const target = scheduler({ maxBatchSize: 1 });
    const a = sequence('a');
    add(target, a, sequence('b'));
    target.schedule(0);
    target.finish(a, 'abort');
    expect(target.update([{ tokens: [{ id: 7 }] }], 0)).toEqual([]);
    expect(a).toMatchObject({ finishReason: 'abort', outputTokenIds: [] });
    expect(step(target)).toBe('prefill b');
  });

  test('that has finished changes nothing', () => {
    const target = scheduler();
    const a = sequence('a', { maxNewTokens: 1 });
    add(target, a);
    step(target);
    target.finish(a, 'abort');
    expect(a.finishReason).toBe('length');
  });
});

describe('a failed step', () => {
  /** Plans a step that fails. */
  function failing(target: Scheduler): { readonly step: string; readonly lost: string[] } {
    const planned = target.schedule(0);
    if (planned === undefined) throw new Error('there is nothing to do');
    return { step: describeStep(target, planned), lost: target.fail().map(({ id }) => id) };
  }

  test('is retried unchanged if it has no newcomers, and loses its sequences if it fails again', () => {
    const target = scheduler();
    const [a, b] = [sequence('a'), sequence('b')];
    add(target, a, b);
    step(target);
    expect(failing(target)).toEqual({ step: 'decode a b', lost: [] });
    expect(failing(target)).toEqual({ step: 'decode a b', lost: ['a', 'b'] });
    expect([a.finishReason, b.finishReason]).toEqual(['error', 'error']);
    expect(target).toMatchObject({ numRunning: 0, numWaiting: 0, numFreeSlots: 4 });
  });

  test('is retried without its newcomers, which are then prefilled one per step', () => {
    const target = scheduler();
    add(target, sequence('a', { maxNewTokens: 9 }));
    step(target);
    add(target, sequence('b'), sequence('c'));
    expect(failing(target)).toEqual({ step: 'decode a + prefill b c', lost: [] });
    add(target, sequence('d'));
    expect([step(target), step(target), step(target), step(target)]).toEqual([
      'decode a',
      'decode a + prefill b',
      'decode a b + prefill c',
      'decode a b c + prefill d',
    ]);
  });

  test('loses only the newcomer that causes the failure', () => {
    const target = scheduler();
    add(target, sequence('a', { maxNewTokens: 9 }));
    step(target);
    const [bad, good] = [sequence('bad'), sequence('good')];
    add(target, bad, good);
    expect(failing(target)).toEqual({ step: 'decode a + prefill bad good', lost: [] });
    expect(step(target)).toBe('decode a');
    expect(failing(target)).toEqual({ step: 'decode a + prefill bad', lost: ['bad'] });
    expect([step(target), step(target)]).toEqual(['decode a', 'decode a + prefill good']);
    expect(bad.finishReason).toBe('error');
    expect(good.status).toBe('running');
  });

  test('restarts a long prompt from its first chunk', () => {
    const target = scheduler();
    add(target, sequence('a', { promptLength: 30 }), sequence('b'));
    expect(step(target)).toBe('prefill a[20]');
    expect(failing(target)).toEqual({ step: 'prefill a[10] b', lost: [] });
    expect([step(target), step(target), step(target)]).toEqual([
      'prefill a[20]',
      'prefill a[10]',
      'decode a + prefill b',
    ]);
  });

  test('is forgotten once a step succeeds', () => {
    const target = scheduler();
    add(target, sequence('a', { maxNewTokens: 9 }));
    step(target);
    for (let i = 0; i < 3; i++) {
      expect(failing(target)).toEqual({ step: 'decode a', lost: [] });
      expect(step(target)).toBe('decode a');
    }
  });

  test('does not delay newcomers once its other sequences have been aborted', () => {
    const target = scheduler();
    const a = sequence('a');
    add(target, a);
    step(target);
    expect(failing(target).lost).toEqual([]);
    target.finish(a, 'abort');
    add(target, sequence('b'));
    expect(step(target)).toBe('prefill b');
  });
});

test('a row that fails ends its own sequence and no other', () => {
  const target = scheduler();
  const [a, b] = [sequence('a'), sequence('b')];
  add(target, a, b);
  const planned = target.schedule(0) ?? { moves: [], rows: [] };
  expect(describeStep(target, planned)).toBe('prefill a b');
  const error = new EngineError('not a number');
  expect(target.update([error, { tokens: [{ id: 7 }] }], 0)).toEqual([
    { sequence: a, result: error },
    { sequence: b, result: { id: 7 } },
  ]);
  expect(a.finishReason).toBe('error');
  expect(step(target)).toBe('move 1>0; decode b');
});

test('the queue is bounded; requests that will get a free slot do not count', () => {
  const target = scheduler({ maxBatchSize: 2, maxQueueSize: 1 });
  add(target, sequence('a'), sequence('b'), sequence('c'));
  expect(() => add(target, sequence('d'))).toThrow(QueueFullError);
  step(target);
  expect(() => add(target, sequence('d'))).toThrow(QueueFullError);
});

describe('waiting prompts', () => {
  const state = {
    numWaiting: 1,
    numWaitingTokens: 19,
    numRunning: 20,
    numSlotsBehind: 30,
    oldestWaitMs: 0,
    batchTimeoutMs: 100,
  };

  test('start at once if nothing is running', () => {
    expect(gatherWhileRunning({ ...state, numRunning: 0 })).toBe(1);
  });

  test('wait while they are few and short', () => {
    expect(gatherWhileRunning(state)).toBe(0);
  });

  test('join when they bring as many tokens as there are running rows', () => {
    expect(gatherWhileRunning({ ...state, numWaitingTokens: 20 })).toBe(1);
  });

  test('count only the tokens of those that will get a free slot', () => {
    const admission = vi.fn(gatherWhileRunning);
    const limits = { maxBatchSize: 2, maxModelLen: 64, maxStepTokens: 24 };
    const options = { limits, eosTokenIds: new Set<number>(), batchTimeoutMs: 100, maxQueueSize: 100, admission };
    const target = new Scheduler(options);
    add(target, sequence('a', { promptLength: 2 }));
    step(target);
    add(target, sequence('b', { promptLength: 3 }), sequence('c', { promptLength: 4 }));
    step(target);
    expect(admission).toHaveBeenLastCalledWith(expect.objectContaining({ numWaiting: 2, numWaitingTokens: 3 }));
  });

  test('join when they fill the free slots', () => {
    expect(gatherWhileRunning({ ...state, numWaiting: 2, numSlotsBehind: 1 })).toBe(1);
  });

  test('join when the oldest has waited as long as the timeout', () => {
    expect(gatherWhileRunning({ ...state, oldestWaitMs: 100 })).toBe(1);
  });
});
