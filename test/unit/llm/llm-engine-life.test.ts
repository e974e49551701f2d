import { describe, expect, test } from 'vitest';
import { EngineError, UnavailableError } from '../../../src/core/index.ts';
import { coldEngine, idsOf, never, requestFor, startEngine, story } from '../../support/llm-engine.ts';

describe('shutting down', () => {
  test('finishes accepted requests and refuses new ones', async () => {
    const { engine, runner } = await startEngine({ a: idsOf('xy') });
    const reached = runner.pausedAt('decode a');
    const a = story(engine, requestFor('a'));
    await reached;
    const drained = engine.drain();
    expect(engine.isReady).toBe(false);
    await expect(engine.submit(requestFor('b'), never())).rejects.toThrow(UnavailableError);
    runner.resume();
    await drained;
    expect(await a).toBe('[x] [y] [] stop');
  });

  test('ends unfinished requests with an error and waits for the step in flight', async () => {
    const { engine, runner } = await startEngine({ a: idsOf('xy') });
    const reached = runner.pausedAt('decode a');
    const a = story(engine, requestFor('a'));
    await reached;
    const disposed = engine.dispose();
    expect(runner.isDisposed).toBe(false);
    runner.resume();
    await disposed;
    expect(await a).toBe('[x] unavailable');
    expect(runner.isDisposed).toBe(true);
  });

  test('finishes requests that are still being tokenized', async () => {
    const { engine } = await startEngine({ a: idsOf('xy') });
    const a = story(engine, requestFor('a'));
    const drained = engine.drain();
    expect(await a).toBe('[x] [y] [] stop');
    await drained;
  });

  test('terminates the step in flight, since nobody needs its tokens', async () => {
    const { engine, runner } = await startEngine({ a: idsOf('xy') });
    const reached = runner.pausedAt('decode a');
    const a = story(engine, requestFor('a'));
    await reached;
    const disposed = engine.dispose();
    expect(runner.isTerminated).toBe(true);
    expect(await a).toBe('[x] unavailable');
    // A failure is expected now and is not reported.
    runner.failWith(() => new EngineError('terminated'));
    runner.resume();
    await disposed;
    expect(runner.steps).toEqual(['prefill a', 'decode a']);
  });

  test('refuses requests that are still being tokenized, without waiting for the step in flight', async () => {
    const { engine, runner } = await startEngine({ a: idsOf('xy') }, { maxModelLen: 8192, maxStepTokens: 8192 });
    const reached = runner.pausedAt('decode a');
    const a = story(engine, requestFor('a'));
    await reached;
    const long = engine.submit(requestFor('long', { prompts: ['word '.repeat(1000)] }), never());
    const refused = expect(long).rejects.toThrow('stopped before this request was finished');
    const disposed = engine.dispose();
    await refused;
    expect(runner.isDisposed).toBe(false);
    runner.resume();
    await disposed;
    await a;
  });

  test('completes at once if nothing is running', async () => {
    const { engine } = await startEngine({});
    await engine.drain();
    expect(engine.isReady).toBe(false);
  });
});

test('an engine that is drained and disposed during its warm-up runs nothing more', async () => {
  const { engine, runner } = coldEngine();
  const reached = runner.pausedAt('prefill warm-up');
  const warm = engine.warmUp();
  await reached;
  const stopped = engine.drain().then(() => engine.dispose());
  runner.resume();
  await Promise.all([warm, stopped]);
  expect(runner.isDisposed).toBe(true);
  await engine.warmUp();
  expect(runner.steps).toEqual(['prefill warm-up']);
});

test('an engine that is disposed during its warm-up disposes its runner after the step, and never becomes ready', async () => {
  const { engine, runner } = coldEngine();
  const reached = runner.pausedAt('prefill warm-up');
  const warm = engine.warmUp();
  await reached;
  const disposed = engine.dispose();
  expect(runner.isDisposed).toBe(false);
  runner.resume();
  await Promise.all([warm, disposed]);
  expect(runner.isDisposed).toBe(true);
  expect(engine.isReady).toBe(false);
});

test('a defect ends all requests with an error, and the engine refuses new ones', async () => {
  const defects: unknown[] = [];
  const { engine, runner, clock } = await startEngine(
    { a: idsOf('xyz') },
    { onDefect: (defect) => defects.push(defect) },
  );
  const reached = runner.pausedAt('decode a');
  const a = story(engine, requestFor('a'));
  await reached;
  const defect = new Error('the clock is broken');
  clock.now = () => {
    throw defect;
  };
  runner.resume();
  expect(await a).toBe('[x] internal_error');
  expect(defects).toEqual([defect]);
  expect(engine.isReady).toBe(false);
  await expect(engine.submit(requestFor('b'), never())).rejects.toThrow(UnavailableError);
  await engine.dispose();
  expect(runner.isDisposed).toBe(true);
});

test('the warm-up fails if the model cannot be run', async () => {
  const { engine, runner } = coldEngine({}, { onFailure: () => {} });
  runner.failWith(() => new EngineError('the model could not be run', new Error('no such operator')));
  await expect(engine.warmUp()).rejects.toThrow('the model cannot be run: no such operator');
  expect(engine.isReady).toBe(false);
});

test('requests are refused before the warm-up', async () => {
  const { engine } = coldEngine();
  expect(engine.isReady).toBe(false);
  await expect(engine.submit(requestFor('a'), never())).rejects.toThrow(/starting up/);
});
