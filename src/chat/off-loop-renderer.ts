import { Worker } from 'node:worker_threads';
import { BusyError, type ServingError, UnavailableError } from '../core/index.ts';
import { chatLimits } from './limits.ts';
import type { RenderFailure, RenderReply, RenderWorkerData } from './render-job.ts';

interface Waiting {
  /** A `RenderJob` as JSON. */
  readonly job: string;
  resolve(reply: RenderReply): void;
  reject(reason: unknown): void;
}

/** The part of a `Worker` that is used here. */
export interface RenderThread {
  postMessage(job: string): void;
  on(event: 'message', listener: (message: RenderReply | 'ready') => void): unknown;
  on(event: 'error', listener: (error: NodeJS.ErrnoException) => void): unknown;
  on(event: 'exit', listener: () => void): unknown;
  terminate(): Promise<unknown>;
  /** Keeps the process alive until `unref`. */
  ref(): void;
  unref(): void;
}

const tooSlow: RenderFailure = { kind: 'too slow', reason: `it takes longer than ${chatLimits.deadlineMs} ms` };
const tooLarge: RenderFailure = { kind: 'too large', reason: 'it takes too much memory' };

/**
 * Renders templates on a worker thread, one after the other, because they can loop or use up all memory. The thread starts with the first
 * job. A job that takes too long ends the thread, and the next job gets a new one.
 */
export class OffLoopRenderer {
  readonly #data: RenderWorkerData;
  readonly #startThread: (data: RenderWorkerData) => RenderThread;
  /** In order of arrival. */
  readonly #waiting = new Set<Waiting>();
  #thread: RenderThread | undefined;
  #state: 'starting' | 'ready' | 'ending' = 'starting';
  /** Why nothing is rendered any more. */
  #closed: ServingError | undefined;
  /** What the thread is working on, even if nobody waits for it any more. */
  #current: Waiting | undefined;
  #deadline: NodeJS.Timeout | undefined;

  constructor(data: RenderWorkerData, startThread = startWorker) {
    this.#data = data;
    this.#startThread = startThread;
  }

  /**
   * @param job a `RenderJob` as JSON
   * @param signal rejects the promise at once when it aborts
   * @throws {BusyError} too much is waiting, or the job has waited too long
   * @throws {ServingError} the renderer is disposed of
   */
  async render(job: string, signal: AbortSignal): Promise<RenderReply> {
    signal.throwIfAborted();
    if (this.#closed !== undefined) throw this.#closed;
    this.#checkRoom(job);
    let cancel = () => {};
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise((resolve, reject) => {
        const entry = { job, resolve, reject };
        cancel = () => {
          this.#waiting.delete(entry);
          reject(signal.reason);
        };
        signal.addEventListener('abort', cancel);
        timer = setTimeout(() => this.#giveUp(entry), chatLimits.maxWaitMs);
        this.#waiting.add(entry);
        if (this.#current === undefined) this.#next();
      });
    } finally {
      signal.removeEventListener('abort', cancel);
      clearTimeout(timer);
    }
  }

  /** Ends the thread. @param reason for every job that is not done, and for later ones */
  async dispose(reason: ServingError = new UnavailableError('the model is closed')): Promise<void> {
    this.#closed ??= reason;
    this.#current?.reject(reason);
    for (const { reject } of this.#waiting) reject(reason);
    this.#waiting.clear();
    await this.#thread?.terminate();
  }

  /** @throws {BusyError} */
  #checkRoom(job: string): void {
    const { maxWaitingCharacters } = chatLimits;
    const numCharacters = [...this.#waiting].reduce((sum, waiting) => sum + waiting.job.length, 0);
    if (numCharacters + job.length <= maxWaitingCharacters) return;
    throw new BusyError(
      `chats of ${numCharacters} characters are waiting to be rendered, and at most ${maxWaitingCharacters} may; there is no room for ${job.length} more`,
    );
  }

  #giveUp(entry: Waiting): void {
    if (!this.#waiting.delete(entry)) return;
    entry.reject(new BusyError(`the rendering of other chats has taken ${chatLimits.maxWaitMs} ms`));
  }

  #next(): void {
    const [entry] = this.#waiting;
    this.#current = entry;
    if (entry === undefined) this.#thread?.unref();
    else this.#run(entry);
  }

  #run(entry: Waiting): void {
    this.#waiting.delete(entry);
    try {
      this.#thread ??= this.#start();
    } catch (error) {
      // A thread may fail to start. The next job tries again.
      entry.reject(error);
      this.#next();
      return;
    }
    if (this.#state === 'ready') this.#startTimer();
    this.#thread.ref();
    this.#thread.postMessage(entry.job);
  }

  /** Measures only the job: a thread takes a while to start when the processor is busy. */
  #startTimer(): void {
    this.#deadline = setTimeout(() => {
      this.#current?.resolve({ failure: tooSlow });
      this.#state = 'ending';
      void this.#thread?.terminate();
    }, chatLimits.deadlineMs);
  }

  #start(): RenderThread {
    const thread = this.#startThread(this.#data);
    let end: { readonly error: Error } | { readonly failure: RenderFailure } = {
      error: new Error('the thread of the chat templates has exited'),
    };
    thread.on('message', (message) => {
      if (this.#state === 'ending') return;
      if (message === 'ready') {
        this.#state = 'ready';
        this.#startTimer();
        return;
      }
      clearTimeout(this.#deadline);
      this.#current?.resolve(message);
      this.#next();
    });
    thread.on('error', (error) => {
      end = error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? { failure: tooLarge } : { error };
    });
    thread.on('exit', () => {
      clearTimeout(this.#deadline);
      this.#thread = undefined;
      this.#state = 'starting';
      if ('failure' in end) this.#current?.resolve({ failure: end.failure });
      else this.#current?.reject(end.error);
      this.#next();
    });
    return thread;
  }
}

function startWorker(workerData: RenderWorkerData): RenderThread {
  return new Worker(new URL('./render-worker.js', import.meta.url), {
    workerData,
    resourceLimits: { maxOldGenerationSizeMb: chatLimits.maxHeapMegabytes },
  });
}
