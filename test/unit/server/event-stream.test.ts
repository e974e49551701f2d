import { once } from 'node:events';
import { beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import type { GenerationEvent } from '../../../src/core/index.ts';
import { finished, ScriptedGenerator, startServer, tokenEvent } from '../../support/fake-generator.ts';
import { connectTo, postOf, readUntil } from '../../support/raw-connection.ts';
import { until } from '../../support/until.ts';

const sseHeartbeatMs = 15_000;
/** As an HTTP chunk. */
const heartbeat = 'd\r\n: heartbeat\n\n\r\n';
const streamed = postOf({ prompt: [5], stream: true });

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  onTestFinished(() => void vi.useRealTimers());
});

/** Starts a stream. Returns both ends of its connection. */
async function begin(events: () => AsyncIterable<GenerationEvent>) {
  const { app } = await startServer({
    generator: new ScriptedGenerator(events),
    sseHeartbeatMs,
    // So long that it does not matter here.
    stallTimeoutMs: 3_600_000,
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  const accepted = once(app.server, 'connection');
  const client = await connectTo(app.server);
  const [socket] = await accepted;
  client.write(streamed);
  return { client, socket };
}

test('headers are sent when the request is accepted, and comments while there are no events', async () => {
  const steps: (() => void)[] = [];
  const step = () => new Promise<void>((resolve) => steps.push(resolve));
  const { client } = await begin(async function* () {
    await step();
    yield tokenEvent('Hello');
    await step();
    yield finished;
  });
  expect(await readUntil(client, '\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 OK\r\ncontent-type: text\/event-stream\r\n/);
  for (let i = 0; i < 2; i++) {
    vi.advanceTimersByTime(sseHeartbeatMs - 1);
    vi.advanceTimersByTime(1);
    expect(await readUntil(client, heartbeat)).toBe(heartbeat);
  }
  steps.shift()?.();
  expect(await readUntil(client, '\n\n\r\n')).toContain('event: token');
  vi.advanceTimersByTime(sseHeartbeatMs);
  expect(await readUntil(client, heartbeat)).toBe(heartbeat);
  steps.shift()?.();
  expect(await readUntil(client, '\r\n0\r\n\r\n')).toContain('event: done');
  vi.advanceTimersByTime(10 * sseHeartbeatMs);
  client.write('GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n');
  expect(await readUntil(client, '}')).toMatch(/^HTTP\/1\.1 200 OK/);
});

test('comments do not pile up behind events that a slow client has not read', async () => {
  const { socket } = await begin(async function* () {
    for (;;) yield tokenEvent('x'.repeat(100_000));
  });
  await until(async () => socket.writableNeedDrain);
  const { bytesWritten } = socket;
  vi.advanceTimersByTime(100 * sseHeartbeatMs);
  expect(socket.bytesWritten).toBe(bytesWritten);
});
