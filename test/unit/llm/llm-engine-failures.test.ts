import { describe, expect, test } from 'vitest';
import { EngineError, NoTokenError } from '../../../src/core/index.ts';
import { idsOf, requestFor, startEngine, story } from '../../support/llm-engine.ts';
import { until } from '../../support/until.ts';

const broken = new EngineError('the model could not be run', new Error('out of memory'));

/** An engine whose failures are recorded. */
async function fallibleEngine(...[replies]: Parameters<typeof startEngine>) {
  const failures: EngineError[] = [];
  return { failures, ...(await startEngine(replies, { onFailure: (error) => failures.push(error) })) };
}

test('requests that leave no token to draw fail, and say nothing about the engine', async () => {
  const { engine, failures } = await fallibleEngine({ a: [...idsOf('x'), new NoTokenError()] });
  for (let i = 0; i < 4; i++) expect(await story(engine, requestFor('a'))).toBe('[x] invalid_request');
  expect(failures).toEqual([]);
  expect(engine.isReady).toBe(true);
});

describe('a failed step', () => {
  test('is reported and retried without losing anything', async () => {
    const { engine, runner, failures } = await fallibleEngine({ a: idsOf('xy') });
    runner.failOnceAt('decode a', broken);
    expect(await story(engine, requestFor('a'))).toBe('[x] [y] [] stop');
    expect(runner.steps).toEqual(['prefill a', 'decode a', 'decode a', 'decode a']);
    expect(failures).toEqual([broken]);
  });

  test('that keeps failing ends each request with one error, and the engine is not ready until a step succeeds', async () => {
    const { engine, runner, failures } = await fallibleEngine({ a: idsOf('x'), b: idsOf('y') });
    runner.failWith(() => broken);
    const stories = [story(engine, requestFor('a')), story(engine, requestFor('b'))];
    expect(await Promise.all(stories)).toEqual(['engine_failed', 'engine_failed']);
    expect(failures).toHaveLength(runner.steps.length);
    expect(runner.steps).toEqual(['prefill a b', 'prefill a', 'prefill b']);
    expect(engine.isReady).toBe(false);
    runner.failWith(() => undefined);
    expect(await story(engine, requestFor('b'))).toBe('[y] [] stop');
    expect(engine.isReady).toBe(true);
  });

  test('is recovered from without requests, once a warm-up step succeeds', async () => {
    const { engine, runner } = await fallibleEngine({});
    runner.failWith(() => broken);
    const stories = [story(engine, requestFor('a')), story(engine, requestFor('b'))];
    await Promise.all(stories);
    engine.recover();
    engine.recover();
    await until(async () => engine.stats().numRunning + engine.stats().numWaiting === 0);
    expect(runner.steps.slice(3)).toEqual(['prefill warm-up', 'prefill warm-up']);
    expect(engine.isReady).toBe(false);
    runner.failWith(() => undefined);
    engine.recover();
    await until(async () => engine.stats().numRunning + engine.stats().numWaiting === 0);
    expect(engine.isReady).toBe(true);
    expect(runner.steps.slice(5)).toEqual(['prefill warm-up']);
    engine.recover();
    expect(engine.stats().numWaiting).toBe(0);
  });

  test('caused by one prompt ends only the request for that prompt', async () => {
    const { engine, runner, failures } = await fallibleEngine({ a: idsOf('xyz'), bad: [], good: idsOf('uv') });
    runner.failWith((step) => (/\bbad\b/.test(step) ? broken : undefined));
    const reached = runner.pausedAt('decode a');
    const a = story(engine, requestFor('a'));
    await reached;
    const others = [story(engine, requestFor('bad')), story(engine, requestFor('good'))];
    await Promise.resolve();
    runner.resume();
    expect(await a).toBe('[x] [y] [z] [] stop');
    expect(await Promise.all(others)).toEqual(['engine_failed', '[u] [v] [] stop']);
    expect(failures).toEqual([broken, broken]);
    expect(engine.isReady).toBe(true);
    expect(engine.stats()).toMatchObject({ numRunning: 0, numWaiting: 0, numFreeSlots: 4 });
  });
});

test('a row with NaN logits ends only its own sequence with an error', async () => {
  const nanLogits = new EngineError('NaN logits');
  const { engine, runner, failures } = await fallibleEngine({ a: [...idsOf('x'), nanLogits], b: idsOf('yz') });
  const stories = [story(engine, requestFor('a')), story(engine, requestFor('b'))];
  expect(await Promise.all(stories)).toEqual(['[x] engine_failed', '[y] [z] [] stop']);
  expect(runner.steps).toEqual(['prefill a b', 'decode a b', 'move 1>0; decode b']);
  expect(failures).toEqual([nanLogits]);
  expect(engine.isReady).toBe(true);
});

test('an engine that gets only NaN logits stops being ready', async () => {
  const nanLogits = new EngineError('NaN logits');
  const { engine } = await fallibleEngine({ a: [nanLogits] });
  for (let i = 0; i < 3; i++) {
    expect(engine.isReady).toBe(true);
    expect(await story(engine, requestFor('a'))).toBe('engine_failed');
  }
  expect(engine.isReady).toBe(false);
});
