import { Worker } from 'node:worker_threads';
import { serializeSpec, type TokenizerSpec } from './tokenizer-spec.ts';

/** What the worker thread answers. */
export type EncoderReply = { readonly ids: number[] } | { readonly error: string };

interface Job {
  readonly text: string;
  readonly signal: AbortSignal;
  resolve(ids: number[]): void;
  reject(reason: unknown): void;
}

/** Tokenizes on a worker thread, one text after the other. The thread is started by the first text. */
export class OffLoopEncoder {
  /** Serialized when the server starts, and not when the first long text holds everybody up. */
  readonly #spec: string;
  readonly #waiting: Job[] = [];
  #worker: Worker | undefined;
  #current: Job | undefined;

  constructor(spec: TokenizerSpec) {
    this.#spec = serializeSpec(spec);
  }

  /** @param signal a text whose turn has not come when it aborts is left out */
  encode(text: string, signal: AbortSignal): Promise<number[]> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ text, signal, resolve, reject });
      if (this.#current === undefined) this.#next();
    });
  }

  async dispose(): Promise<void> {
    await this.#worker?.terminate();
  }

  #next(): void {
    this.#current = undefined;
    for (let job = this.#waiting.shift(); job !== undefined; job = this.#waiting.shift()) {
      if (job.signal.aborted) {
        job.reject(job.signal.reason);
        continue;
      }
      this.#current = job;
      this.#worker ??= this.#start();
      this.#worker.postMessage(job.text);
      return;
    }
  }

  #start(): Worker {
    const worker = new Worker(new URL('./encoder-worker.js', import.meta.url), {
      workerData: this.#spec,
    });
    worker.unref();
    worker.on('message', (reply: EncoderReply) => {
      if ('ids' in reply) this.#current?.resolve(reply.ids);
      else this.#current?.reject(new Error(reply.error));
      this.#next();
    });
    let reason = new Error('the tokenizer thread ended');
    worker.on('error', (error) => {
      reason = error;
    });
    worker.on('exit', () => {
      this.#worker = undefined;
      this.#current?.reject(reason);
      for (const job of this.#waiting.splice(0)) job.reject(reason);
      this.#current = undefined;
    });
    return worker;
  }
}
