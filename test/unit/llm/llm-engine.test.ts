import { beforeEach, describe, expect, test } from 'vitest';
import {
  ContextLengthError,
  type GenerateRequest,
  type GenerationEvent,
  greedy,
  InvalidRequestError,
  QueueFullError,
  type StepLimits,
  UnavailableError,
} from '../../../src/core/index.ts';
import { LlmEngine } from '../../../src/llm/index.ts';
import { byteAlphabet } from '../../../src/tokenizer/byte-level.ts';
import { Tokenizer } from '../../../src/tokenizer/index.ts';
import { FakeRunner } from '../../support/fake-runner.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const EOS = 2;
const OWL = [...Buffer.from('🦉')];

/** Every byte is a token of its own: 4 is byte 0, and so on. */
const idOfByte = (byte: number) => 4 + byte;
const idsOf = (text: string) => [...Buffer.from(text)].map(idOfByte);

function byteTokenizer(): Tokenizer {
  const chars = byteAlphabet.map((char, byte) => [char, idOfByte(byte)] as const);
  const special = { special: true, lstrip: false, rstrip: false, singleWord: false };
  const addedTokens = [{ ...special, id: EOS, content: '</s>' }];
  return new Tokenizer({
    vocab: new Map(chars),
    merges: [],
    addedTokens,
    prefix: [EOS],
    suffix: [],
    addPrefixSpace: false,
  });
}

/** Sequences are called by their prompts, and are given the reply to theirs. */
let clock: ManualClock;
beforeEach(() => {
  clock = new ManualClock();
});

async function startEngine(
  replies: Readonly<Record<string, readonly number[]>>,
  {
    hasTokenizer = true,
    maxQueueSize = 10,
    ...limits
  }: Partial<StepLimits> & { hasTokenizer?: boolean; maxQueueSize?: number } = {},
) {
  const runner = new FakeRunner(limits, ({ id }, index) => replies[id]?.[index] ?? EOS);
  const defects: unknown[] = [];
  const engine = new LlmEngine({
    runner,
    tokenizer: hasTokenizer ? byteTokenizer() : undefined,
    clock,
    vocabSize: 300,
    eosTokenIds: [EOS],
    batchTimeoutMs: 100,
    maxQueueSize,
    onDefect: (defect) => defects.push(defect),
  });
  await engine.warmUp();
  runner.steps.length = 0;
  return { engine, runner, defects };
}

function requestFor(prompt: string, changes: Partial<GenerateRequest> = {}): GenerateRequest {
  return { id: prompt, prompt, maxNewTokens: undefined, stop: [], sampling: greedy, ...changes };
}

const never = () => new AbortController().signal;

async function eventsOf(events: AsyncIterable<GenerationEvent>): Promise<GenerationEvent[]> {
  const all = [];
  for await (const event of events) all.push(event);
  return all;
}

/** A whole generation in one line: each token's text, and how it ended. */
async function story(engine: LlmEngine, request: GenerateRequest): Promise<string> {
  const events = await eventsOf(await engine.submit(request, never()));
  return events
    .map((event) => {
      if (event.type === 'token') return `[${event.text}]`;
      return event.type === 'finished' ? event.finishReason : event.error.code;
    })
    .join(' ');
}

describe('text', () => {
  test('comes token by token, the end of sequence with an empty one', async () => {
    const { engine } = await startEngine({ a: [...idsOf('hi'), EOS] });
    expect(await story(engine, requestFor('a'))).toBe('[h] [i] [] stop');
  });

  test('comes in whole characters', async () => {
    const { engine } = await startEngine({ a: OWL.map(idOfByte) });
    expect(await story(engine, requestFor('a'))).toBe('[] [] [] [🦉] [] stop');
  });

  test('ends with U+FFFD if the model ends inside a character', async () => {
    const { engine } = await startEngine({ a: OWL.map(idOfByte) });
    expect(await story(engine, requestFor('a', { maxNewTokens: 2 }))).toBe('[] [\uFFFD] length');
  });

  test('ends in front of a stop string, of which nothing is sent', async () => {
    const { engine, runner } = await startEngine({ a: idsOf('one two') });
    expect(await story(engine, requestFor('a', { stop: [' t'] }))).toBe('[o] [n] [e] [] [] stop');
    expect(runner.steps).toHaveLength(5);
  });

  test('that was held back comes with the last token', async () => {
    const { engine } = await startEngine({ a: [...idsOf('one t'), EOS] });
    expect(await story(engine, requestFor('a', { stop: [' two'] }))).toBe('[o] [n] [e] [] [] [ t] stop');
    expect(await story(engine, requestFor('a', { stop: [' two'], maxNewTokens: 4 }))).toBe('[o] [n] [e] [ ] length');
  });

  test('is empty where the model has no tokenizer', async () => {
    const { engine } = await startEngine({ a: idsOf('hi') }, { hasTokenizer: false });
    expect(await story(engine, requestFor('a', { prompt: [5, 6] }))).toBe('[] [] [] stop');
  });
});

test('a newcomer joins at the next token boundary, not when the batch ends', async () => {
  const { engine, runner } = await startEngine({ a: idsOf('789'), b: idsOf('5') }, { maxBatchSize: 2 });
  const reached = runner.pausedAt('decode a');
  const a = story(engine, requestFor('a'));
  await reached;
  const b = story(engine, requestFor('b'));
  await Promise.resolve();
  runner.resume();
  expect(await Promise.all([a, b])).toEqual(['[7] [8] [9] [] stop', '[5] [] stop']);
  expect(runner.steps).toEqual(['prefill a', 'decode a', 'decode a + prefill b', 'decode a b']);
});

test('timings and usage say where the time went', async () => {
  const { engine, runner } = await startEngine({ a: idsOf('xy'), b: [] }, { maxBatchSize: 1 });
  const reached = runner.pausedAt('prefill a');
  const blocker = story(engine, requestFor('a'));
  await reached;
  const b = engine.submit(requestFor('b', { maxNewTokens: 3, sampling: { ...greedy, ignoreEos: true } }), never());
  clock.advance(30);
  runner.resume();
  await blocker;
  const last = (await eventsOf(await b)).at(-1);
  expect(last).toMatchObject({
    usage: { promptTokens: 2, completionTokens: 3 },
    timings: { tokenizeMs: 30, queueMs: 0, prefillMs: 0, decodeMs: 0, detokenizeMs: 0 },
  });
});

describe('a request is refused before anything is started:', () => {
  test.each<[string, Partial<GenerateRequest>, RegExp]>([
    [
      'ids outside the vocabulary',
      { prompt: [5, 300] },
      /prompt\[1\] is 300; the token ids of this model are 0 to 299/,
    ],
    ['a prompt without ids', { prompt: [] }, /prompt is empty/],
  ])('%s', async (_, changes, message) => {
    const { engine, runner } = await startEngine({});
    await expect(engine.submit(requestFor('a', changes), never())).rejects.toThrow(InvalidRequestError);
    await expect(engine.submit(requestFor('a', changes), never())).rejects.toThrow(message);
    expect(runner.steps).toEqual([]);
  });

  test.each<[string, Partial<GenerateRequest>, RegExp]>([
    [
      'a prompt as long as the context',
      { prompt: Array(64).fill(5) },
      /has 64 tokens, and the context of 64 takes prompts of up to 63/,
    ],
    ['a text that cannot fit, known without tokenizing it', { prompt: 'x'.repeat(1000) }, /has at least 251 tokens/],
    [
      'more new tokens than the prompt leaves',
      { prompt: Array(60).fill(5), maxNewTokens: 5 },
      /max_new_tokens is 5, .* of 60 tokens leaves 4 of the context of 64/,
    ],
  ])('%s', async (_, changes, message) => {
    const { engine } = await startEngine({});
    await expect(engine.submit(requestFor('a', changes), never())).rejects.toThrow(ContextLengthError);
    await expect(engine.submit(requestFor('a', changes), never())).rejects.toThrow(message);
  });

  test('text where there is no tokenizer', async () => {
    const { engine } = await startEngine({}, { hasTokenizer: false });
    await expect(engine.submit(requestFor('a'), never())).rejects.toThrow(/has no tokenizer: give a list of token ids/);
  });

  test('a full queue', async () => {
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

test('by default there are 128 new tokens, or what the context leaves', async () => {
  const { engine } = await startEngine({}, { maxModelLen: 256 });
  const sampling = { ...greedy, ignoreEos: true };
  const usage = async (length: number) =>
    (await eventsOf(await engine.submit(requestFor('a', { prompt: Array(length).fill(5), sampling }), never())))
      .length - 1;
  expect(await usage(2)).toBe(128);
  expect(await usage(200)).toBe(56);
});

describe('a client that leaves', () => {
  test('while it decodes: its slot is free, the others notice nothing', async () => {
    const { engine, runner } = await startEngine({ a: idsOf('aaaa'), b: idsOf('bb') });
    const leaving = new AbortController();
    const reached = runner.pausedAt('decode a b');
    const a = engine.submit(requestFor('a'), leaving.signal);
    const b = story(engine, requestFor('b'));
    await reached;
    leaving.abort();
    expect(engine.stats()).toMatchObject({ numRunning: 1, numFreeSlots: 3 });
    runner.resume();
    expect(await b).toBe('[b] [b] [] stop');
    expect(await eventsOf(await a)).toEqual([]);
    expect(runner.steps).toEqual(['prefill a b', 'decode a b', 'move 1>0; decode b']);
  });

  test('while it waits: it costs no step', async () => {
    const { engine, runner } = await startEngine({ a: idsOf('x') }, { maxBatchSize: 1 });
    const leaving = new AbortController();
    const reached = runner.pausedAt('prefill a');
    const a = story(engine, requestFor('a'));
    await reached;
    const b = await engine.submit(requestFor('b'), leaving.signal);
    leaving.abort();
    runner.resume();
    await a;
    expect(await eventsOf(b)).toEqual([]);
    expect(runner.steps).toEqual(['prefill a', 'decode a']);
    expect(engine.stats()).toMatchObject({ numRunning: 0, numWaiting: 0, numFreeSlots: 1 });
  });

  test('before it was accepted: nothing is started', async () => {
    const { engine, runner } = await startEngine({});
    expect(await eventsOf(await engine.submit(requestFor('a'), AbortSignal.abort()))).toEqual([]);
    expect(runner.steps).toEqual([]);
  });
});

test('a failed step ends its requests with an error event, and the next one is served', async () => {
  const { engine, runner } = await startEngine({ a: idsOf('x'), b: idsOf('y') });
  runner.failAt('decode a', new Error('out of memory'));
  expect(await story(engine, requestFor('a'))).toBe('[x] engine_failed');
  expect(await story(engine, requestFor('b'))).toBe('[y] [] stop');
});

describe('shutting down', () => {
  test('finishes what was accepted and takes nothing new', async () => {
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

  test('ends with an error what is not finished, when the step in flight is done', async () => {
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

  test('is done at once when there is nothing to do', async () => {
    const { engine } = await startEngine({});
    await engine.drain();
    expect(engine.isReady).toBe(false);
  });
});

test('an engine that was drained and stopped while it warms up runs nothing more', async () => {
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

test('an engine that is stopped while it warms up frees its runner when the step is done, and never gets ready', async () => {
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

test('a defect ends everything with an error, and the engine takes nothing more', async () => {
  const { engine, runner, defects } = await startEngine({ a: idsOf('xyz') });
  const reached = runner.pausedAt('decode a');
  const a = story(engine, requestFor('a'));
  await reached;
  const defect = new Error('time is out of joint');
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

test('a model that cannot be run fails the warm-up', async () => {
  const { engine, runner } = coldEngine();
  runner.failAt('prefill warm-up', new Error('no such operator'));
  await expect(engine.warmUp()).rejects.toThrow('no such operator');
  expect(engine.isReady).toBe(false);
});

test('whenever a request comes, even as the last one ends, the engine serves it', async () => {
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

function coldEngine() {
  const runner = new FakeRunner({}, () => EOS);
  const engine = new LlmEngine({
    runner,
    tokenizer: undefined,
    clock,
    vocabSize: 300,
    eosTokenIds: [EOS],
    batchTimeoutMs: 100,
    maxQueueSize: 1,
    onDefect: (defect) => expect.unreachable(String(defect)),
  });
  return { engine, runner };
}

test('nothing is taken before the warm-up', async () => {
  const { engine } = coldEngine();
  expect(engine.isReady).toBe(false);
  await expect(engine.submit(requestFor('a'), never())).rejects.toThrow(/starting up/);
});
