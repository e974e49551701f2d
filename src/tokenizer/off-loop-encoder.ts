import { Worker } from 'node:worker_threads';
import type { TokenizerSpec } from './tokenizer-spec.ts';

/** What the worker thread answers. */
export type EncoderReply = { readonly ids: number[] } | { readonly error: string };

interface Waiter {
  resolve(ids: number[]): void;
  reject(error: Error): void;
}

/** Tokenizes on a worker thread, one text after the other. The thread is started by the first text. */
export class OffLoopEncoder {
  readonly #spec: TokenizerSpec;
  readonly #waiters: Waiter[] = [];
  #worker: Worker | undefined;

  constructor(spec: TokenizerSpec) {
    this.#spec = spec;
  }

  encode(text: string): Promise<number[]> {
    this.#worker ??= this.#start();
    const worker = this.#worker;
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
      worker.postMessage(text);
    });
  }

  async dispose(): Promise<void> {
    await this.#worker?.terminate();
  }

  #start(): Worker {
    const worker = new Worker(new URL('./encoder-worker.js', import.meta.url), { workerData: this.#spec });
    worker.unref();
    worker.on('message', (reply: EncoderReply) => {
      const waiter = this.#waiters.shift();
      if ('ids' in reply) waiter?.resolve(reply.ids);
      else waiter?.reject(new Error(reply.error));
    });
    const lose = (error: Error) => {
      this.#worker = undefined;
      for (const waiter of this.#waiters.splice(0)) waiter.reject(error);
    };
    worker.on('error', lose);
    worker.on('exit', () => lose(new Error('the tokenizer thread ended')));
    return worker;
  }
}
