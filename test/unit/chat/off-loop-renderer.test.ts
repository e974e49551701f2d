import { EventEmitter } from 'node:events';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { OffLoopRenderer } from '../../../src/chat/off-loop-renderer.ts';

/** A thread that answers when the test says so. */
class FakeThread extends EventEmitter {
  readonly jobs: string[] = [];
  keepsAlive = true;
  isEnding = false;

  postMessage(job: string): void {
    this.jobs.push(job);
  }

  async terminate(): Promise<void> {
    this.isEnding = true;
  }

  ref(): void {
    this.keepsAlive = true;
  }

  unref(): void {
    this.keepsAlive = false;
  }
}

function startRenderer() {
  const threads: FakeThread[] = [];
  const renderer = new OffLoopRenderer({ modelTemplates: [] }, () => {
    const thread = new FakeThread();
    threads.push(thread);
    return thread;
  });
  const render = (job: string, signal = new AbortController().signal) => renderer.render(job, signal);
  const thread = (index: number) => threads[index] ?? expect.unreachable(`there are only ${threads.length} threads`);
  return { renderer, render, thread, numThreads: () => threads.length };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('jobs are done one after the other by a thread that starts with the first', async () => {
  const { render, thread, numThreads } = startRenderer();
  expect(numThreads()).toBe(0);
  const [a, b] = [render('a'), render('b')];
  expect(thread(0).jobs).toEqual(['a']);
  thread(0).emit('message', 'ready');
  thread(0).emit('message', { prompt: 'A' });
  expect(await a).toEqual({ prompt: 'A' });
  expect(thread(0)).toMatchObject({ jobs: ['a', 'b'], keepsAlive: true });
  thread(0).emit('message', { prompt: 'B' });
  expect(await b).toEqual({ prompt: 'B' });
  expect(thread(0).keepsAlive).toBe(false);
  expect(numThreads()).toBe(1);
});

describe('a job that is too slow', () => {
  const tooSlow = { failure: { kind: 'too slow', reason: 'it takes longer than 1000 ms' } };

  test('ends the thread; the next job gets a new one', async () => {
    const { render, thread, numThreads } = startRenderer();
    const [a, b] = [render('a'), render('b')];
    thread(0).emit('message', 'ready');
    vi.advanceTimersByTime(999);
    expect(thread(0).isEnding).toBe(false);
    vi.advanceTimersByTime(1);
    expect(await a).toEqual(tooSlow);
    expect(thread(0).isEnding).toBe(true);
    // Its reply comes too late.
    thread(0).emit('message', { prompt: 'A' });
    expect(numThreads()).toBe(1);
    thread(0).emit('exit');
    expect(thread(1).jobs).toEqual(['b']);
    thread(1).emit('message', 'ready');
    thread(1).emit('message', { prompt: 'B' });
    expect(await b).toEqual({ prompt: 'B' });
    vi.advanceTimersByTime(5000);
    expect(thread(1).isEnding).toBe(false);
  });

  test('is not one that waits for a thread to start, or for other jobs', async () => {
    const { render, thread } = startRenderer();
    const [a, b] = [render('a'), render('b')];
    vi.advanceTimersByTime(2000);
    thread(0).emit('message', 'ready');
    vi.advanceTimersByTime(900);
    thread(0).emit('message', { prompt: 'A' });
    vi.advanceTimersByTime(900);
    thread(0).emit('message', { prompt: 'B' });
    expect(await Promise.all([a, b])).toEqual([{ prompt: 'A' }, { prompt: 'B' }]);
  });
});

describe('a job whose client disconnects', () => {
  test('while it waits never reaches the thread', async () => {
    const { render, thread } = startRenderer();
    const leaving = new AbortController();
    const [a, b, c] = [render('a'), render('b', leaving.signal), render('c')];
    leaving.abort(new Error('left'));
    await expect(b).rejects.toThrow('left');
    thread(0).emit('message', 'ready');
    thread(0).emit('message', { prompt: 'A' });
    thread(0).emit('message', { prompt: 'C' });
    expect(await Promise.all([a, c])).toEqual([{ prompt: 'A' }, { prompt: 'C' }]);
    expect(thread(0).jobs).toEqual(['a', 'c']);
  });

  test('while it is done is over at once; the next one follows when the thread is free', async () => {
    const { render, thread } = startRenderer();
    const leaving = new AbortController();
    const [a, b] = [render('a', leaving.signal), render('b')];
    thread(0).emit('message', 'ready');
    leaving.abort(new Error('left'));
    await expect(a).rejects.toThrow('left');
    expect(thread(0).jobs).toEqual(['a']);
    thread(0).emit('message', { prompt: 'A' });
    thread(0).emit('message', { prompt: 'B' });
    expect(await b).toEqual({ prompt: 'B' });
  });

  test('before it arrives starts no thread', async () => {
    const { render, numThreads } = startRenderer();
    await expect(render('a', AbortSignal.abort(new Error('left')))).rejects.toThrow('left');
    expect(numThreads()).toBe(0);
  });
});

describe('a job is refused, with the time to retry,', () => {
  const busy = (message: string) => expect.objectContaining({ code: 'queue_full', retryAfterSeconds: 1, message });

  test('after waiting for slow ones for too long; others still have their turn', async () => {
    const { render, thread } = startRenderer();
    const [a, b] = [render('a'), render('b')];
    const refused = expect(b).rejects.toEqual(busy('the rendering of other chats has taken 3000 ms; retry in 1 s'));
    thread(0).emit('message', 'ready');
    vi.advanceTimersByTime(999);
    const c = render('c');
    vi.advanceTimersByTime(2001);
    await refused;
    thread(0).emit('exit');
    expect(await a).toMatchObject({ failure: { kind: 'too slow' } });
    expect(thread(1).jobs).toEqual(['c']);
    thread(1).emit('message', { prompt: 'C' });
    expect(await c).toEqual({ prompt: 'C' });
  });

  test('if too many characters are waiting, until there is room again', async () => {
    const { render, thread } = startRenderer();
    const half = 'x'.repeat(2 ** 24);
    const open = [render('a'), render(half), render(half)];
    const problem = 'chats of 33554432 characters are waiting to be rendered, and at most 33554432 may';
    await expect(render('b')).rejects.toEqual(busy(`${problem}; there is no room for 1 more; retry in 1 s`));
    thread(0).emit('message', { prompt: 'A' });
    open.push(render('c'));
    for (const prompt of ['1', '2', 'C']) thread(0).emit('message', { prompt });
    expect(await Promise.all(open)).toEqual(['A', '1', '2', 'C'].map((prompt) => ({ prompt })));
  });
});

test('a job that takes too much memory fails; the next one gets a new thread', async () => {
  const { render, thread } = startRenderer();
  const [a, b] = [render('a'), render('b')];
  thread(0).emit('message', 'ready');
  thread(0).emit('error', Object.assign(new Error('heap'), { code: 'ERR_WORKER_OUT_OF_MEMORY' }));
  thread(0).emit('exit');
  expect(await a).toEqual({ failure: { kind: 'too large', reason: 'it takes too much memory' } });
  thread(1).emit('message', { prompt: 'B' });
  expect(await b).toEqual({ prompt: 'B' });
});

test('a thread that breaks down or cannot start fails one job', async () => {
  let numStarts = 0;
  const thread = new FakeThread();
  const renderer = new OffLoopRenderer({ modelTemplates: [] }, () => {
    if (++numStarts === 1) throw new Error('no more threads');
    return thread;
  });
  const { signal } = new AbortController();
  const [a, b, c] = ['a', 'b', 'c'].map((job) => renderer.render(job, signal));
  await expect(a).rejects.toThrow('no more threads');
  thread.emit('error', new Error('broken'));
  thread.emit('exit');
  await expect(b).rejects.toThrow('broken');
  thread.emit('message', { prompt: 'C' });
  expect(await c).toEqual({ prompt: 'C' });
});

test('disposing ends the thread and fails what is open', async () => {
  const { renderer, render, thread, numThreads } = startRenderer();
  const [a, b] = [render('a'), render('b')];
  const disposed = renderer.dispose();
  expect(thread(0).isEnding).toBe(true);
  await expect(b).rejects.toThrow('the model is closed');
  await expect(a).rejects.toThrow('the model is closed');
  thread(0).emit('exit');
  await disposed;
  await expect(render('c')).rejects.toThrow('the model is closed');
  expect(numThreads()).toBe(1);
});
