import { serialize } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { BusyError, UnavailableError } from '../core/index.ts';
import type { EncoderJob, EncoderReply, EncoderWorkerData } from './encoder-job.ts';
import type { EncoderTables } from './encoder-tables.ts';
import { maxCharactersGoingLast } from './limits.ts';

interface Waiting {
  readonly job: EncoderJob;
  resolve(ids: number[]): void;
  reject(reason: unknown): void;
}

/** The part of a `Worker` that is used here. */
export interface EncoderThread {
  postMessage(job: EncoderJob): void;
  on(event: 'message', listener: (reply: EncoderReply) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'exit', listener: () => void): unknown;
  terminate(): Promise<unknown>;
}

export interface OffLoopOptions {
  /** Rejects the promise at once when it aborts; the thread skips the text, or stops in the middle of it. */
  readonly signal: AbortSignal;
  /** Whether the text waits until no other does. */
  readonly goesLast?: boolean;
}

/** Tokenizes on a worker thread, one text after the other. The thread starts with the first text. */
export class OffLoopEncoder {
  readonly #data: EncoderWorkerData;
  readonly #startThread: (data: EncoderWorkerData) => EncoderThread;
  /** In order of arrival. */
  readonly #waiting = new Set<Waiting>();
  /** The same; these are taken when nothing else waits. */
  readonly #waitingLast = new Set<Waiting>();
  #isDisposed = false;
  #thread: EncoderThread | undefined;
  /** The job that the thread is working on, even if it has been cancelled. */
  #current: Waiting | undefined;

  constructor(tables: EncoderTables, startThread = startWorker) {
    this.#data = {
      // Serialized now, at start-up: cloning thousands of objects would delay the first long text.
      serializedTables: serialize(tables),
      isCancelled: new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT)),
    };
    this.#startThread = startThread;
  }

  /**
   * @throws {BusyError} the text goes last, and too much such text is waiting
   * @throws {UnavailableError} the encoder is disposed of
   */
  async encode(job: EncoderJob, { signal, goesLast = false }: OffLoopOptions): Promise<number[]> {
    signal.throwIfAborted();
    if (this.#isDisposed) throw closed();
    if (goesLast) this.#checkRoom(job);
    let cancel = () => {};
    try {
      return await new Promise((resolve, reject) => {
        const entry = { job, resolve, reject };
        cancel = () => this.#cancel(entry, signal.reason);
        signal.addEventListener('abort', cancel);
        (goesLast ? this.#waitingLast : this.#waiting).add(entry);
        if (this.#current === undefined) this.#next();
      });
    } finally {
      signal.removeEventListener('abort', cancel);
    }
  }

  /** Ends the thread. What is not encoded yet fails. */
  async dispose(): Promise<void> {
    this.#isDisposed = true;
    this.#failAll(closed());
    await this.#thread?.terminate();
  }

  #cancel(entry: Waiting, reason: unknown): void {
    entry.reject(reason);
    if (entry === this.#current) Atomics.store(this.#data.isCancelled, 0, 1);
    else if (!this.#waiting.delete(entry)) this.#waitingLast.delete(entry);
  }

  /** @throws {BusyError} */
  #checkRoom({ text }: EncoderJob): void {
    const numCharacters = [...this.#waitingLast].reduce((sum, { job }) => sum + job.text.length, 0);
    if (numCharacters + text.length <= maxCharactersGoingLast) return;
    throw new BusyError(
      `texts of ${numCharacters} characters are waiting to be tokenized, and at most ${maxCharactersGoingLast} may; there is no room for ${text.length} more`,
    );
  }

  #failAll(reason: Error): void {
    this.#current?.reject(reason);
    for (const { reject } of [...this.#waiting, ...this.#waitingLast]) reject(reason);
    this.#waiting.clear();
    this.#waitingLast.clear();
  }

  #next(): void {
    const queue = this.#waiting.size > 0 ? this.#waiting : this.#waitingLast;
    const [entry] = queue;
    this.#current = undefined;
    if (entry === undefined) return;
    queue.delete(entry);
    Atomics.store(this.#data.isCancelled, 0, 0);
    // Starting a thread may throw. That rejects this job, and the next one tries again.
    this.#thread ??= this.#start();
    this.#current = entry;
    this.#thread.postMessage(entry.job);
  }

  #start(): EncoderThread {
    const thread = this.#startThread(this.#data);
    thread.on('message', (reply) => {
      if ('ids' in reply) this.#current?.resolve(reply.ids);
      else if ('error' in reply) this.#current?.reject(new Error(reply.error));
      this.#next();
    });
    let reason = new Error('the tokenizer thread has exited');
    thread.on('error', (error) => {
      reason = error;
    });
    thread.on('exit', () => {
      this.#thread = undefined;
      this.#failAll(reason);
      this.#current = undefined;
    });
    return thread;
  }
}

function closed(): UnavailableError {
  return new UnavailableError('the model is closed');
}

function startWorker(workerData: EncoderWorkerData): EncoderThread {
  const worker = new Worker(new URL('./encoder-worker.js', import.meta.url), { workerData });
  worker.unref();
  return worker;
}
