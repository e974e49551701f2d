import { EventEmitter } from 'node:events';
import { describe, expect, test } from 'vitest';
import { BytePairEncoder } from '../../../src/tokenizer/byte-pair-encoder.ts';
import { type EncoderJob, encodeUnlessCancelled } from '../../../src/tokenizer/encoder-job.ts';
import { encoderTables } from '../../../src/tokenizer/encoder-tables.ts';
import { OffLoopEncoder } from '../../../src/tokenizer/off-loop-encoder.ts';
import { Work } from '../../../src/tokenizer/work.ts';
import { addedToken, byteTokenizer } from '../../support/tokenizers.ts';

const mask = addedToken(1000, '<mask>', { lstrip: true });
const tables = encoderTables(byteTokenizer({ addedTokens: [mask] }));

const job = (text: string): EncoderJob => ({ text, addSpecialTokens: true });

/** A thread that answers when the test says so. */
class FakeThread extends EventEmitter {
  readonly texts: string[] = [];

  postMessage({ text }: EncoderJob): void {
    this.texts.push(text);
  }

  async terminate(): Promise<void> {
    this.emit('exit');
  }
}

function startEncoder() {
  const thread = new FakeThread();
  let isCancelled: Int32Array = new Int32Array();
  const encoder = new OffLoopEncoder(tables, (data) => {
    isCancelled = data.isCancelled;
    return thread;
  });
  return { encoder, thread, isCancelled: () => isCancelled[0] === 1 };
}

describe('a text whose client disconnects', () => {
  test('while it is being encoded is cancelled at once; the next text follows when the thread has noticed', async () => {
    const { encoder, thread, isCancelled } = startEncoder();
    const leaving = new AbortController();
    const first = encoder.encode(job('first'), { signal: leaving.signal });
    const second = encoder.encode(job('second'), { signal: new AbortController().signal });
    expect(isCancelled()).toBe(false);
    leaving.abort(new Error('left'));
    await expect(first).rejects.toThrow('left');
    expect(isCancelled()).toBe(true);
    expect(thread.texts).toEqual(['first']);
    thread.emit('message', { wasCancelled: true });
    expect(thread.texts).toEqual(['first', 'second']);
    expect(isCancelled()).toBe(false);
    thread.emit('message', { ids: [2] });
    expect(await second).toEqual([2]);
  });

  test('while it waits never reaches the thread', async () => {
    const { encoder, thread, isCancelled } = startEncoder();
    const leaving = new AbortController();
    const first = encoder.encode(job('first'), { signal: new AbortController().signal });
    const second = encoder.encode(job('second'), { signal: leaving.signal });
    const third = encoder.encode(job('third'), { signal: new AbortController().signal });
    leaving.abort(new Error('left'));
    await expect(second).rejects.toThrow('left');
    expect(isCancelled()).toBe(false);
    thread.emit('message', { ids: [1] });
    thread.emit('message', { ids: [3] });
    expect(await Promise.all([first, third])).toEqual([[1], [3]]);
    expect(thread.texts).toEqual(['first', 'third']);
  });

  test('before it arrives starts no thread', async () => {
    const { encoder, thread } = startEncoder();
    await expect(encoder.encode(job('first'), { signal: AbortSignal.abort(new Error('left')) })).rejects.toThrow(
      'left',
    );
    expect(thread.texts).toEqual([]);
  });

  test('after it was encoded makes no difference', async () => {
    const { encoder, thread, isCancelled } = startEncoder();
    const leaving = new AbortController();
    const first = encoder.encode(job('first'), { signal: leaving.signal });
    thread.emit('message', { ids: [1] });
    await first;
    const second = encoder.encode(job('second'), { signal: new AbortController().signal });
    leaving.abort();
    expect(isCancelled()).toBe(false);
    thread.emit('message', { ids: [2] });
    expect(await second).toEqual([2]);
  });
});

test('an error affects one text; a thread that exits fails all that are waiting', async () => {
  const { encoder, thread } = startEncoder();
  const [first, second, third] = ['first', 'second', 'third'].map((text) =>
    encoder.encode(job(text), { signal: new AbortController().signal }),
  );
  thread.emit('message', { error: 'broken' });
  await expect(first).rejects.toThrow('broken');
  thread.emit('exit');
  await expect(second).rejects.toThrow('the tokenizer thread has exited');
  await expect(third).rejects.toThrow('the tokenizer thread has exited');
});

describe('texts that go last', () => {
  const { signal } = new AbortController();
  const last = { signal, goesLast: true };

  test('wait until no other does', async () => {
    const { encoder, thread } = startEncoder();
    const open = [encoder.encode(job('a'), last), encoder.encode(job('b'), last)];
    open.push(encoder.encode(job('c'), { signal }), encoder.encode(job('d'), { signal }));
    for (const id of [1, 3, 4, 2]) thread.emit('message', { ids: [id] });
    expect(await Promise.all(open)).toEqual([[1], [2], [3], [4]]);
    expect(thread.texts).toEqual(['a', 'c', 'd', 'b']);
  });

  test('are refused while too many characters of them wait; others are not', async () => {
    const { encoder, thread } = startEncoder();
    const half = job('x'.repeat(2 ** 21));
    const leaving = new AbortController();
    const open = [encoder.encode(job('a'), last), encoder.encode(half, last)];
    const left = encoder.encode(half, { signal: leaving.signal, goesLast: true });
    const problem = 'texts of 4194304 characters are waiting to be tokenized, and at most 4194304 may';
    const busy = { code: 'queue_full', message: `${problem}; there is no room for 1 more; retry in 1 s` };
    await expect(encoder.encode(job('b'), last)).rejects.toMatchObject(busy);
    open.push(encoder.encode(job('c'), { signal }));
    leaving.abort(new Error('left'));
    await expect(left).rejects.toThrow('left');
    open.push(encoder.encode(job('d'), last));
    for (const id of [1, 3, 2, 4]) thread.emit('message', { ids: [id] });
    expect(await Promise.all(open)).toEqual([[1], [2], [3], [4]]);
  });
});

test('disposing ends the thread and fails what is open', async () => {
  const { encoder, thread } = startEncoder();
  const { signal } = new AbortController();
  const open = [job('a'), job('b')].map((each) => encoder.encode(each, { signal }));
  open.push(encoder.encode(job('c'), { signal, goesLast: true }));
  await Promise.all([
    encoder.dispose(),
    ...open.map((each) => expect(each).rejects.toMatchObject({ code: 'unavailable' })),
  ]);
  await expect(encoder.encode(job('d'), { signal })).rejects.toMatchObject({ code: 'unavailable' });
  expect(thread.texts).toEqual(['a']);
});

test('a job says whether special tokens are added', () => {
  const encoder = new BytePairEncoder(encoderTables(byteTokenizer({ prefix: [256] })));
  const isCancelled = new Int32Array(new SharedArrayBuffer(4));
  expect(encodeUnlessCancelled(encoder, job('a'), isCancelled)).toEqual({ ids: [256, 0x61] });
  const bare = { text: 'a', addSpecialTokens: false };
  expect(encodeUnlessCancelled(encoder, bare, isCancelled)).toEqual({ ids: [0x61] });
  encoder.dispose();
});

describe('encoding stops in the middle', () => {
  const flag = () => new Int32Array(new SharedArrayBuffer(4));

  test('once the flag is set', () => {
    const isCancelled = flag();
    let numStepsAfter = 0;
    const encoder = {
      encode: (_: string, { work = new Work() } = {}) => {
        work.step(100_000);
        Atomics.store(isCancelled, 0, 1);
        for (; numStepsAfter < 100_000; numStepsAfter++) work.step();
        return [];
      },
    };
    expect(encodeUnlessCancelled(encoder, job('text'), isCancelled)).toEqual({ wasCancelled: true });
    expect(numStepsAfter).toBeLessThan(5000);
  });

  const repeated = (text: string) => text.repeat(400_000 / text.length);
  test.each([
    ['of words', repeated('ab cd\n\n')],
    ['of one long word', repeated('a')],
    ['of white space', repeated(' ')],
    ['of added tokens', repeated('<mask>')],
    ['of white space that an added token takes', `${repeated(' ')}<mask>`],
  ])('%s', (_, text) => {
    const encoder = new BytePairEncoder(tables);
    const whole = new Work();
    encoder.encode(text, { work: whole });
    expect(whole.steps).toBeLessThan(6 * text.length);
    let numChecks = 0;
    const work = new Work(() => {
      numChecks++;
      if (numChecks === 20) throw new Error('enough');
    });
    expect(() => encoder.encode(text, { work })).toThrow('enough');
    expect(work.steps).toBeLessThan(whole.steps / 2);
    const isCancelled = flag();
    expect(encodeUnlessCancelled(encoder, job('a'.repeat(10_000)), isCancelled)).toHaveProperty('ids');
    Atomics.store(isCancelled, 0, 1);
    expect(encodeUnlessCancelled(encoder, job(text), isCancelled)).toEqual({ wasCancelled: true });
    encoder.dispose();
  });
});

test('a thread that cannot start fails only the text that needed it', async () => {
  const thread = new FakeThread();
  let canStart = false;
  const encoder = new OffLoopEncoder(tables, () => {
    if (!canStart) throw new Error('no more threads');
    return thread;
  });
  await expect(encoder.encode(job('first'), { signal: new AbortController().signal })).rejects.toThrow(
    'no more threads',
  );
  canStart = true;
  const second = encoder.encode(job('second'), { signal: new AbortController().signal });
  thread.emit('message', { ids: [2] });
  expect(await second).toEqual([2]);
});
