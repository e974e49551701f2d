import { onTestFinished } from 'vitest';
import { loadSettings } from '../../src/config/index.ts';
import type { GenerateRequest, GenerationEvent, TextGenerator } from '../../src/core/index.ts';
import { buildServer, type ServerOptions } from '../../src/server/index.ts';
import { fakeModel } from './served-model.ts';

export const finished: GenerationEvent = {
  type: 'finished',
  choice: 0,
  finishReason: 'stop',
  usage: { promptTokens: 3, completionTokens: 2 },
  timings: { tokenizeMs: 0.5, queueMs: 1, prefillMs: 2.00049, decodeMs: 3, detokenizeMs: 0.25 },
};

/** A generator that answers every request with the same events, and records the requests. */
export class FakeGenerator implements TextGenerator {
  readonly requests: GenerateRequest[] = [];
  isReady = true;
  numRecoveries = 0;
  events: readonly GenerationEvent[] = [
    { type: 'token', choice: 0, index: 0, token: { id: 5 }, text: 'Hello', isLast: false },
    { type: 'token', choice: 0, index: 1, token: { id: 2 }, text: '', isLast: true },
    finished,
  ];
  refusal: Error | undefined;

  async submit(request: GenerateRequest): Promise<AsyncIterable<GenerationEvent>> {
    if (this.refusal) throw this.refusal;
    this.requests.push(request);
    return toAsync(this.events);
  }

  recover(): void {
    this.numRecoveries++;
  }

  stats() {
    return { numRunning: 3, numWaiting: 2, numFreeSlots: 47, numSteps: 11 };
  }
}

async function* toAsync<T>(values: readonly T[]): AsyncIterable<T> {
  yield* values;
}

/** Produces the events that answer a request. */
type Answer = (request: GenerateRequest, signal: AbortSignal) => AsyncIterable<GenerationEvent>;

/** A generator whose answers are scripted by a test. It counts the unfinished ones. */
export class ScriptedGenerator implements TextGenerator {
  readonly isReady = true;
  numRequests = 0;
  numOpen = 0;
  maxOpen = 0;
  readonly #answer: Answer;

  constructor(answer: Answer) {
    this.#answer = answer;
  }

  async submit(request: GenerateRequest, signal: AbortSignal): Promise<AsyncIterable<GenerationEvent>> {
    this.numRequests++;
    return this.#counted(this.#answer(request, signal));
  }

  recover(): void {}

  async *#counted(events: AsyncIterable<GenerationEvent>): AsyncIterable<GenerationEvent> {
    this.maxOpen = Math.max(this.maxOpen, ++this.numOpen);
    try {
      yield* events;
    } finally {
      this.numOpen--;
    }
  }

  stats() {
    return { numRunning: this.numOpen, numWaiting: 0, numFreeSlots: 0, numSteps: 0 };
  }
}

export function tokenEvent(text: string): GenerationEvent {
  return { type: 'token', choice: 0, index: 0, token: { id: 5 }, text, isLast: false };
}

/** Resolves when the client has disconnected. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** A server with a fake generator, unless `changes` has another one. It is closed after the test. */
export async function startServer(changes: Partial<ServerOptions> = {}) {
  const generator = new FakeGenerator();
  const { app, connections } = await buildServer({
    ...loadSettings([], {}),
    generator,
    model: fakeModel(),
    version: '0.0.0',
    logLevel: 'silent',
    ...changes,
  });
  onTestFinished(async () => {
    connections.cut();
    await app.close();
  });
  const post = (payload: unknown, headers: Record<string, string> = {}) =>
    app.inject({
      method: 'POST',
      url: '/generate',
      headers: { 'content-type': 'application/json', ...headers },
      payload: typeof payload === 'string' ? payload : JSON.stringify(payload),
    });
  return { app, connections, generator, post };
}
