import { getEventListeners } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import {
  ClientTooSlowError,
  ContextLengthError,
  type GenerateRequest,
  InvalidParameterError,
  QueueFullError,
} from '../../../src/core/index.ts';
import {
  EOS,
  eventsOf,
  idOfByte,
  idsOf,
  never,
  OWL,
  requestFor,
  startEngine,
  story,
} from '../../support/llm-engine.ts';

describe('text', () => {
  test('arrives token by token; the end of sequence has an empty text', async () => {
    const { engine } = await startEngine({ a: [...idsOf('hi'), EOS] });
    expect(await story(engine, requestFor('a'))).toBe('[h] [i] [] stop');
  });

  test('arrives in whole characters', async () => {
    const { engine } = await startEngine({ a: OWL.map(idOfByte) });
    expect(await story(engine, requestFor('a'))).toBe('[] [] [] [🦉] [] stop');
  });

  test('ends with U+FFFD if generation ends inside a character', async () => {
    const { engine } = await startEngine({ a: OWL.map(idOfByte) });
    expect(await story(engine, requestFor('a', { maxNewTokens: 2 }))).toBe('[] [\uFFFD] length');
  });

  test('ends before a stop string, no part of which is sent', async () => {
    const { engine, runner } = await startEngine({ a: idsOf('one two') });
    expect(await story(engine, requestFor('a', { stop: [' t'] }))).toBe('[o] [n] [e] [] [] stop( t)');
    expect(runner.steps).toHaveLength(5);
  });

  test('that was held back is sent with the last token', async () => {
    const { engine } = await startEngine({ a: [...idsOf('one t'), EOS] });
    expect(await story(engine, requestFor('a', { stop: [' two'] }))).toBe('[o] [n] [e] [] [] [ t] stop');
    expect(await story(engine, requestFor('a', { stop: [' two'], maxNewTokens: 4 }))).toBe('[o] [n] [e] [ ] length');
  });

  test('is empty if the model has no tokenizer', async () => {
    const { engine } = await startEngine({ a: idsOf('hi') }, { hasTokenizer: false });
    expect(await story(engine, requestFor('a', { prompts: [idsOf('a')] }))).toBe('[] [] [] stop');
  });
});

test('a newcomer joins at the next token boundary, not when the batch ends', async () => {
  const { engine, runner } = await startEngine({ a: idsOf('789'), b: idsOf('5') }, { maxBatchSize: 2 });
  const reached = runner.pausedAt('decode a');
  const a = story(engine, requestFor('a'));
  await reached;
  const b = story(engine, requestFor('b'));
  await nextTurn();
  runner.resume();
  expect(await Promise.all([a, b])).toEqual(['[7] [8] [9] [] stop', '[5] [] stop']);
  expect(runner.steps).toEqual(['prefill a', 'decode a', 'decode a + prefill b', 'decode a b']);
});

test('the last event has the usage, and the time that each stage took', async () => {
  const { engine, runner, clock } = await startEngine({ a: idsOf('xy'), b: [] }, { maxBatchSize: 1 });
  const reached = runner.pausedAt('prefill a');
  const blocker = story(engine, requestFor('a'));
  await reached;
  const b = engine.submit(requestFor('b', { maxNewTokens: 3, ignoreEos: true }), never());
  clock.advance(30);
  runner.resume();
  await blocker;
  const last = (await eventsOf(await b)).at(-1);
  expect(last).toMatchObject({
    usage: { promptTokens: 2, completionTokens: 3 },
    timings: { tokenizeMs: 30, queueMs: 0, prefillMs: 0, decodeMs: 0, detokenizeMs: 0 },
  });
});

describe('the engine immediately refuses', () => {
  test.each<[string, Partial<GenerateRequest>, RegExp]>([
    [
      'token ids outside the vocabulary',
      { prompts: [[5, 300]] },
      /prompts\[1\] is 300, which is out of vocabulary; the 300 token ids of this model are 0 to 299/,
    ],
    ['token ids that are not integers', { prompts: [[1.5]] }, /prompts\[0\] is 1.5, which is out of vocabulary;/],
    ['negative token ids', { prompts: [[5, -1]] }, /prompts\[1\] is -1, which is out of vocabulary;/],
    ['an empty prompt', { prompts: [[]] }, /prompts is empty; a decoder prompt cannot be empty/],
  ])('%s', async (_, changes, message) => {
    const { engine, runner } = await startEngine({});
    await expect(engine.submit(requestFor('a', changes), never())).rejects.toThrow(InvalidParameterError);
    await expect(engine.submit(requestFor('a', changes), never())).rejects.toThrow(message);
    expect(runner.steps).toEqual([]);
  });

  test.each<[string, Partial<GenerateRequest>, RegExp]>([
    [
      'a prompt as long as the context',
      { prompts: [Array(64).fill(5)] },
      /has 64 tokens, and the context of 64 takes prompts of up to 63/,
    ],
    ['a text that cannot fit, without tokenizing it', { prompts: ['x'.repeat(1000)] }, /has at least 251 tokens/],
    [
      'more new tokens than the prompt leaves room for',
      { prompts: [Array(60).fill(5)], maxNewTokens: 5 },
      /^maxNewTokens is 5; it must be at most 4: .* of 60 tokens takes the rest of the context of 64/,
    ],
  ])('%s', async (_, changes, message) => {
    const { engine } = await startEngine({});
    await expect(engine.submit(requestFor('a', changes), never())).rejects.toThrow(ContextLengthError);
    await expect(engine.submit(requestFor('a', changes), never())).rejects.toThrow(message);
  });

  test('text if the model has no tokenizer', async () => {
    const { engine } = await startEngine({}, { hasTokenizer: false });
    await expect(engine.submit(requestFor('a'), never())).rejects.toThrow(/has no tokenizer: give a list of token ids/);
  });

  test('requests while the queue is full', async () => {
    const { engine, runner } = await startEngine({ a: [] }, { maxBatchSize: 1, maxQueueSize: 2 });
    const reached = runner.pausedAt('prefill a');
    const first = story(engine, requestFor('a'));
    await reached;
    const others = [story(engine, requestFor('b')), story(engine, requestFor('c'))];
    await expect(engine.submit(requestFor('d'), never())).rejects.toThrow(QueueFullError);
    expect(engine.stats()).toMatchObject({ numRunning: 1, numWaiting: 2 });
    runner.resume();
    expect(await Promise.all([first, ...others])).toEqual(['[] stop', '[] stop', '[] stop']);
  });
});

test('the number of new tokens defaults to 128, or to what the context leaves', async () => {
  const { engine } = await startEngine({}, { maxModelLen: 256 });
  const usage = async (length: number) =>
    (
      await eventsOf(
        await engine.submit(requestFor('a', { prompts: [Array(length).fill(5)], ignoreEos: true }), never()),
      )
    ).length - 1;
  expect(await usage(2)).toBe(128);
  expect(await usage(200)).toBe(56);
});

test("a caller's objects may change while its request runs", async () => {
  const { engine } = await startEngine({ a: idsOf('xyz') });
  const prompt = idsOf('a');
  const request = requestFor('a', { prompts: [prompt] });
  const events = [];
  for await (const event of await engine.submit(request, never())) {
    if (event.type === 'token') prompt.push(event.token.id);
    events.push(event);
  }
  expect(events.at(-1)).toMatchObject({ usage: { promptTokens: 1, completionTokens: 4 } });
});

test('finished requests leave no listener on a signal that outlives them', async () => {
  const { engine } = await startEngine({ a: idsOf('x') });
  const { signal } = new AbortController();
  for (let i = 0; i < 3; i++) await eventsOf(await engine.submit(requestFor('a'), signal));
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});

test('leaving the loop over the events cancels the request', async () => {
  const { engine } = await startEngine({ a: idsOf('xyz') });
  for await (const _ of await engine.submit(requestFor('a'), never())) break;
  expect(engine.stats()).toMatchObject({ numRunning: 0, numWaiting: 0 });
});

describe('a client that disconnects', () => {
  test('while its request decodes frees its slot and does not affect other requests', async () => {
    const { engine, runner } = await startEngine({ a: idsOf('aaaa'), b: idsOf('bb') });
    const client = new AbortController();
    const reached = runner.pausedAt('decode a b');
    const a = engine.submit(requestFor('a'), client.signal);
    const b = story(engine, requestFor('b'));
    await reached;
    client.abort();
    expect(engine.stats()).toMatchObject({ numRunning: 1, numFreeSlots: 3 });
    runner.resume();
    expect(await b).toBe('[b] [b] [] stop');
    expect(await eventsOf(await a)).toEqual([]);
    expect(runner.steps).toEqual(['prefill a b', 'decode a b', 'move 1>0; decode b']);
  });

  test('while its request waits costs no step', async () => {
    const { engine, runner } = await startEngine({ a: idsOf('x') }, { maxBatchSize: 1 });
    const client = new AbortController();
    const reached = runner.pausedAt('prefill a');
    const a = story(engine, requestFor('a'));
    await reached;
    const b = await engine.submit(requestFor('b'), client.signal);
    client.abort();
    runner.resume();
    await a;
    expect(await eventsOf(b)).toEqual([]);
    expect(runner.steps).toEqual(['prefill a', 'decode a']);
    expect(engine.stats()).toMatchObject({ numRunning: 0, numWaiting: 0, numFreeSlots: 1 });
  });

  test('before its request is accepted starts nothing', async () => {
    const { engine, runner } = await startEngine({});
    expect(await eventsOf(await engine.submit(requestFor('a'), AbortSignal.abort()))).toEqual([]);
    expect(runner.steps).toEqual([]);
  });
});

test('a request is served even if it arrives just as the last one ends', async () => {
  const { engine } = await startEngine({});
  for (let numTicks = 0; numTicks < 30; numTicks++) {
    const first = story(engine, requestFor('a'));
    const ended = first.then(async () => {
      for (let i = 0; i < numTicks; i++) await Promise.resolve();
      return story(engine, requestFor('b'));
    });
    expect(await ended).toBe('[] stop');
  }
});

test('a client that does not read gets its pending events and an error, and its slot is freed', async () => {
  const reply = idsOf('abcdefgh');
  const { engine, runner } = await startEngine(
    { slow: reply, next: idsOf('x') },
    { maxBatchSize: 1, maxPendingEvents: 3 },
  );
  const slow = await engine.submit(requestFor('slow'), never());
  expect(await story(engine, requestFor('next'))).toBe('[x] [] stop');
  expect(runner.steps).toEqual(['prefill slow', ...Array(3).fill('decode slow'), 'prefill next', 'decode next']);
  expect(engine.stats()).toMatchObject({ numRunning: 0, numWaiting: 0, numFreeSlots: 1 });
  expect(await eventsOf(slow)).toEqual([
    ...['a', 'b', 'c'].map((text, index) => ({
      type: 'token',
      choice: 0,
      isLast: false,
      index,
      token: { id: reply[index] },
      text,
    })),
    { type: 'error', error: new ClientTooSlowError(3) },
  ]);
});
