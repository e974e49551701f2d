import { onTestFinished } from 'vitest';
import { loadSettings } from '../../src/config/index.ts';
import type { GenerateRequest, GenerationEvent, TextGenerator } from '../../src/core/index.ts';
import { buildServer, type ServerOptions } from '../../src/server/index.ts';

/** A generator that answers every request with the same events, and keeps what it was asked. */
export class FakeGenerator implements TextGenerator {
  readonly requests: GenerateRequest[] = [];
  isReady = true;
  numRecoveries = 0;
  events: readonly GenerationEvent[] = [
    { type: 'token', index: 0, tokenId: 5, text: 'Hello' },
    { type: 'token', index: 1, tokenId: 2, text: '' },
    {
      type: 'finished',
      finishReason: 'stop',
      usage: { promptTokens: 3, completionTokens: 2 },
      timings: { tokenizeMs: 0.5, queueMs: 1, prefillMs: 2.00049, decodeMs: 3, detokenizeMs: 0.25 },
    },
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

/** A server over a fake generator, or another one, closed after the test. */
export async function startServer(changes: Partial<ServerOptions> = {}) {
  const generator = new FakeGenerator();
  const { app, connections } = await buildServer({
    ...loadSettings([], {}),
    generator,
    modelName: 'fake',
    version: '0.0.0',
    logLevel: 'silent',
    ...changes,
  });
  onTestFinished(() => app.close());
  const post = (payload: unknown, headers: Record<string, string> = {}) =>
    app.inject({
      method: 'POST',
      url: '/generate',
      headers: { 'content-type': 'application/json', ...headers },
      payload: typeof payload === 'string' ? payload : JSON.stringify(payload),
    });
  return { app, connections, generator, post };
}
