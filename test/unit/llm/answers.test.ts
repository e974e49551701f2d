import { describe, expect, test } from 'vitest';
import { ClientTooSlowError, EngineError, type GenerateRequest, QueueFullError } from '../../../src/core/index.ts';
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

describe('several answers to a prompt', () => {
  test('share its computation, and run on their own from their first token on', async () => {
    const { engine, runner } = await startEngine({ a: idsOf('one'), 'a#1': idsOf('two'), 'a#2': idsOf('3') });
    expect(await story(engine, requestFor('a', { n: 3 }))).toBe(
      '[o] 1:[t] 2:[3] [n] 1:[w] 2:[] 2:stop [e] 1:[o] [] stop 1:[] 1:stop',
    );
    expect(runner.steps).toEqual(['prefill a', 'move 0>1; move 0>2; decode a a a', 'decode a a', 'decode a a']);
  });

  test('survive the one that computed the prompt', async () => {
    const { engine, runner } = await startEngine({ a: [EOS], 'a#1': idsOf('two'), 'a#2': idsOf('3') });
    expect(await story(engine, requestFor('a', { n: 3 }))).toBe(
      '[] stop 1:[t] 2:[3] 1:[w] 2:[] 2:stop 1:[o] 1:[] 1:stop',
    );
    expect(runner.steps[1]).toBe('move 0>1; decode a a');
    expect(engine.stats()).toMatchObject({ numRunning: 0, numFreeSlots: 4 });
  });

  test('wait until there is a slot for each of them', async () => {
    const { engine, runner } = await startEngine({ a: idsOf('xyz'), b: idsOf('u') }, { maxBatchSize: 2 });
    const reached = runner.pausedAt('decode a');
    const a = story(engine, requestFor('a'));
    await reached;
    const b = story(engine, requestFor('b', { n: 2 }));
    runner.resume();
    expect(await Promise.all([a, b])).toEqual(['[x] [y] [z] [] stop', '[u] 1:[u] [] stop 1:[] 1:stop']);
    expect(runner.steps).toEqual([
      'prefill a',
      'decode a',
      'decode a',
      'decode a',
      'prefill b',
      'move 0>1; decode b b',
    ]);
  });

  test('reserve their slots: a newcomer does not take one while the prompt is computed', async () => {
    const { engine, runner } = await startEngine(
      { a: idsOf('x'), b: idsOf('u') },
      { maxBatchSize: 3, maxStepTokens: 20 },
    );
    const [a, b] = [story(engine, requestFor('a', { n: 3 })), story(engine, requestFor('b'))];
    expect(await Promise.all([a, b])).toEqual([expect.stringMatching(/2:stop$/), '[u] [] stop']);
    expect(runner.steps).toEqual(['prefill a', 'move 0>1; move 0>2; decode a a a', 'prefill b', 'decode b']);
  });

  test('end together when the client leaves, in any phase', async () => {
    for (const numEvents of [0, 1, 4]) {
      const { engine, runner } = await startEngine({ a: idsOf('xxxxxxxx'), b: idsOf('uuuuuuuu') });
      const left = new AbortController();
      const request = requestFor('', { prompts: ['a', 'b'], n: 2 });
      const events = await engine.submit(request, left.signal);
      const seen = [];
      if (numEvents > 0) {
        for await (const event of events) {
          seen.push(event);
          if (seen.length === numEvents) left.abort();
        }
      } else left.abort();
      expect(seen).toHaveLength(numEvents);
      expect(engine.stats()).toMatchObject({ numRunning: 0, numWaiting: 0, numFreeSlots: 4 });
      expect(await story(engine, requestFor('c'))).toBe('[] stop');
      expect(runner.steps.length).toBeLessThan(6);
    }
  });

  test('end with one error when a row fails, a step fails twice, or the client is too slow', async () => {
    const broken = new EngineError('broken');
    const { engine } = await startEngine({ a: idsOf('xy'), 'a#1': [...idsOf('x'), broken] }, { onFailure: () => {} });
    expect(await story(engine, requestFor('a', { n: 2 }))).toBe('[x] 1:[x] [y] engine_failed');

    const failing = await startEngine({}, { onFailure: () => {} });
    failing.runner.failWith(() => broken);
    expect(await story(failing.engine, requestFor('', { prompts: ['a', 'b'], n: 2 }))).toBe('engine_failed');
    expect(failing.engine.stats()).toMatchObject({ numRunning: 0, numWaiting: 0, numFreeSlots: 4 });

    const slow = await startEngine({ a: idsOf('xyxyxy') }, { maxPendingEvents: 2 });
    const events = await slow.engine.submit(requestFor('a', { n: 2 }), never());
    expect(await story(slow.engine, requestFor('b'))).toBe('[] stop');
    expect((await eventsOf(events)).at(-1)).toEqual({ type: 'error', error: new ClientTooSlowError(4) });
  });

  test('may all wait for a client that has had no chance to read', async () => {
    const { engine } = await startEngine({ a: idsOf('x') }, { maxPendingEvents: 1 });
    const events = await engine.submit(requestFor('a', { n: 4, maxNewTokens: 1 }), never());
    expect((await eventsOf(events)).filter(({ type }) => type === 'finished')).toHaveLength(4);
  });

  test('start again together after a failed step', async () => {
    const { engine, runner } = await startEngine({ a: idsOf('x') }, { onFailure: () => {} });
    runner.failOnceAt('prefill a', new EngineError('broken'));
    expect(await story(engine, requestFor('a', { n: 2 }))).toBe('[x] 1:[x] [] stop 1:[] 1:stop');
    expect(runner.steps).toEqual(['prefill a', 'prefill a', 'move 0>1; decode a a']);
  });
});

test('several prompts are answered side by side, and choices are numbered prompt by prompt', async () => {
  const { engine, runner } = await startEngine({ a: idsOf('x'), b: idsOf('u') }, { maxBatchSize: 6 });
  const request = requestFor('', { prompts: ['a', idsOf('b')], n: 2, reportPrompt: true });
  expect(await story(engine, request)).toBe(
    '<2> [x] 1:[x] <1> 2:[u] 3:[u] [] stop 2:[] 2:stop 1:[] 1:stop 3:[] 3:stop',
  );
  expect(runner.steps[0]).toBe('prefill a b');
  const events = await eventsOf(await engine.submit(request, never()));
  expect(events.filter(({ type }) => type === 'prompt')).toEqual([
    { type: 'prompt', prompt: 0, tokenIds: [EOS, ...idsOf('a')] },
    { type: 'prompt', prompt: 1, tokenIds: idsOf('b') },
  ]);
  expect(events.find((event) => event.type === 'finished' && event.choice === 2)).toMatchObject({
    usage: { promptTokens: 1, completionTokens: 2 },
  });
});

describe('admission is all or nothing', () => {
  test('a request with more answers than the queue has room for is refused whole', async () => {
    const { engine, runner } = await startEngine({ a: [] }, { maxBatchSize: 1, maxQueueSize: 2 });
    const reached = runner.pausedAt('prefill a');
    const first = story(engine, requestFor('a'));
    await reached;
    const tooMany = requestFor('', { prompts: ['b', 'c', 'd'] });
    await expect(engine.submit(tooMany, never())).rejects.toThrow(QueueFullError);
    expect(engine.stats()).toMatchObject({ numRunning: 1, numWaiting: 0 });
    const two = story(engine, requestFor('', { prompts: ['b', 'c'] }));
    runner.resume();
    expect(await Promise.all([first, two])).toEqual(['[] stop', '[] stop 1:[] 1:stop']);
  });

  test.each<[string, Partial<GenerateRequest>, RegExp]>([
    ['more answers than slots', { n: 5 }, /^n is 5; at most 4 answers can be generated together/],
    [
      'more prompts than are ever accepted',
      { prompts: Array(15).fill('a') },
      /^prompts asks for 15 answers \(15 prompts, n is 1\); at most 14 can be accepted at once/,
    ],
    [
      'one bad prompt among good ones',
      { prompts: ['a', [5, 300]] },
      /^prompts\[1\]\[1\] is 300, which is out of vocabulary;/,
    ],
    ['an empty prompt among good ones', { prompts: ['a', []] }, /^prompts\[1\] is empty/],
    [
      'a stop token outside the vocabulary',
      { stopTokenIds: [5, 300] },
      /^stopTokenIds\[1\] is 300, which is out of vocabulary;/,
    ],
    [
      'a biased token outside the vocabulary',
      { sampling: { ...requestFor('').sampling, logitBias: [[300, 1]] } },
      /^logitBias has the token id 300, which is out of vocabulary; the 300 token ids of this model are 0 to 299/,
    ],
    [
      'an allowed token outside the vocabulary',
      { sampling: { ...requestFor('').sampling, allowedTokenIds: [-1] } },
      /^allowedTokenIds\[0\] is -1, which is out of vocabulary;/,
    ],
    [
      'more tokens at least than at most',
      { minNewTokens: 4, maxNewTokens: 3 },
      /^minNewTokens is 4; it must be at most 3, the maximum number of new tokens/,
    ],
  ])('%s: refused', async (_, changes, message) => {
    const { engine, runner } = await startEngine({});
    await expect(engine.submit(requestFor('a', changes), never())).rejects.toThrow(message);
    expect(runner.steps).toEqual([]);
    expect(engine.stats()).toMatchObject({ numWaiting: 0 });
  });
});

test('a prompt that is truncated keeps its end or its start, and its special tokens', async () => {
  const { engine } = await startEngine({});
  const truncated = async (changes: Partial<GenerateRequest>) => {
    const request = requestFor('abcd', { reportPrompt: true, ...changes });
    const [prompt] = await eventsOf(await engine.submit(request, never()));
    return prompt?.type === 'prompt' ? prompt.tokenIds : [];
  };
  expect(await truncated({ truncatePromptTokens: 3 })).toEqual([EOS, ...idsOf('cd')]);
  expect(await truncated({ truncatePromptTokens: 1 })).toEqual([EOS]);
  expect(await truncated({ truncatePromptTokens: 9 })).toEqual([EOS, ...idsOf('abcd')]);
  expect(await truncated({ truncatePromptTokens: 2, addSpecialTokens: false })).toEqual(idsOf('cd'));
  expect(await truncated({ truncatePromptTokens: 2, prompts: [idsOf('abc')] })).toEqual(idsOf('bc'));
  expect(await truncated({ truncatePromptTokens: 50, prompts: ['x'.repeat(90)] })).toHaveLength(50);
  const right: Partial<GenerateRequest> = { truncationSide: 'right' };
  expect(await truncated({ ...right, truncatePromptTokens: 3 })).toEqual([EOS, ...idsOf('ab')]);
  expect(await truncated({ ...right, truncatePromptTokens: 9 })).toEqual([EOS, ...idsOf('abcd')]);
  expect(await truncated({ ...right, truncatePromptTokens: 2, prompts: [idsOf('abc')] })).toEqual(idsOf('ab'));
});

describe('the end of an answer', () => {
  test('may be a stop token, whose text is sent on request', async () => {
    const { engine } = await startEngine({ a: idsOf('abc') });
    const stopTokenIds = idsOf('b');
    expect(await story(engine, requestFor('a', { stopTokenIds }))).toBe(`[a] [] stop(${stopTokenIds[0]})`);
    expect(await story(engine, requestFor('a', { stopTokenIds, includeStop: true }))).toBe(
      `[a] [b] stop(${stopTokenIds[0]})`,
    );
  });

  test('has no stop token to report if it is an end-of-sequence token, named or not', async () => {
    const { engine } = await startEngine({ a: [EOS] });
    expect(await story(engine, requestFor('a', { stopTokenIds: [EOS] }))).toBe('[] stop');
    expect(await story(engine, requestFor('a', { stopTokenIds: [EOS], ignoreEos: true }))).toBe(`[] stop(${EOS})`);
  });

  test('may be a stop string, which is sent on request', async () => {
    const { engine } = await startEngine({ a: idsOf('a<b>c') });
    expect(await story(engine, requestFor('a', { stop: ['x', '<b>'] }))).toBe('[a] [] [] [] stop(<b>)');
    expect(await story(engine, requestFor('a', { stop: ['x', '<b>'], includeStop: true }))).toBe(
      '[a] [] [] [<b>] stop(<b>)',
    );
  });

  test('is not a stop string that is complete before the minimum length', async () => {
    const { engine } = await startEngine({ a: idsOf('.a.b') });
    expect(await story(engine, requestFor('a', { stop: ['.'], minNewTokens: 2 }))).toBe('[.] [a] [] stop(.)');
    expect(await story(engine, requestFor('a', { stop: ['.a.'], minNewTokens: 3 }))).toBe('[] [] [] stop(.a.)');
  });

  test('is a stop string that the last, incomplete character completes', async () => {
    const { engine } = await startEngine({ a: [...OWL.slice(0, 2).map(idOfByte), EOS] });
    expect(await story(engine, requestFor('a', { stop: ['\ufffd!'] }))).toBe('[] [] [\ufffd] stop');
  });
});

describe('tokens that may not be drawn', () => {
  const banned = async (changes: Partial<GenerateRequest>) => {
    const { engine, runner } = await startEngine({ a: idsOf('xyxy') });
    const all: (readonly number[] | undefined)[] = [];
    const run = runner.run.bind(runner);
    runner.run = async (step) => {
      all.push(...step.rows.map(({ sample }) => sample?.bannedTokenIds));
      return run(step);
    };
    await story(engine, requestFor('a', changes));
    return all;
  };

  test('are all that end the answer, until it has its minimum length', async () => {
    expect(await banned({ minNewTokens: 2, stopTokenIds: [7] })).toEqual([
      [EOS, 7],
      [EOS, 7],
      undefined,
      undefined,
      undefined,
    ]);
    expect(await banned({ minNewTokens: 1, stopTokenIds: [7], ignoreEos: true, maxNewTokens: 2 })).toEqual([
      [7],
      undefined,
    ]);
  });

  test('are those that complete a bad word, at the beginning of a word or within one', async () => {
    const [x = 0, y = 0] = idsOf('xy');
    expect(await banned({ badWords: ['y'], maxNewTokens: 1 })).toEqual([[y]]);
    expect(await banned({ badWords: ['xy', ' xy'], maxNewTokens: 3 })).toEqual([[], [y], []]);
    expect(await banned({ badWords: [' ax'], maxNewTokens: 1 })).toEqual([[x]]);
  });
});

describe('log probabilities of prompts that would be too many for a reply', () => {
  const prompts = [Array<number>(99).fill(5), Array<number>(1).fill(5)];
  const limits = { maxBatchSize: 50, maxStepTokens: 100, maxModelLen: 2100, maxQueueSize: 100 };

  test.each([
    [
      { prompts, n: 48, numPromptLogprobs: 20, repeatsPrompt: true },
      '100800 log probabilities: 21 for each of 100 prompt tokens, in each of 48 answers',
    ],
    [
      {
        prompts: [Array<number>(2000).fill(5), Array<number>(2000).fill(5), Array<number>(1000).fill(5)],
        numPromptLogprobs: 20,
      },
      '105000 log probabilities: 21 for each of 5000 prompt tokens',
    ],
  ])('%#: are refused', async (request, count) => {
    const { engine } = await startEngine({}, limits);
    await expect(engine.submit(requestFor('a', request), never())).rejects.toMatchObject({
      code: 'invalid_request',
      message: `numPromptLogprobs asks for ${count}; at most 100000 can be in a reply`,
    });
    expect(engine.stats()).toMatchObject({ numRunning: 0, numWaiting: 0 });
  });

  test('are not, if the reply has them once for all answers', async () => {
    const { engine } = await startEngine({}, limits);
    const leaving = new AbortController();
    await engine.submit(requestFor('a', { prompts, n: 48, numPromptLogprobs: 20 }), leaving.signal);
    leaving.abort();
  });
});
