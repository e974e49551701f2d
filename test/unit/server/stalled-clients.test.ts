import { once } from 'node:events';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { GenerationEvent } from '../../../src/core/index.ts';
import { SendProgress } from '../../../src/server/send-progress.ts';
import { finished, ScriptedGenerator, startServer, tokenEvent } from '../../support/fake-generator.ts';
import { temporaryFolder } from '../../support/fixtures.ts';
import { longToken, startEngine } from '../../support/llm-engine.ts';
import { connectTo, postOf, readUntil } from '../../support/raw-connection.ts';
import { until } from '../../support/until.ts';

const stallTimeoutMs = 20_000;
const checkIntervalMs = 5000;
/** The first check only records a baseline. */
const numChecks = 1 + stallTimeoutMs / checkIntervalMs;
const streamed = postOf({ prompt: [5], stream: true, max_new_tokens: 400, ignore_eos: true });
const whole = postOf({ prompt: [5] });

// The server's timers run only in `check`.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  onTestFinished(() => void vi.useRealTimers());
});

/** Lets the server check its connections, with turns of the event loop in between. */
async function check(times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    vi.advanceTimersByTime(checkIntervalMs);
    await setImmediate();
  }
}

async function* endless(): AsyncIterable<GenerationEvent> {
  for (;;) yield tokenEvent('x'.repeat(20_000));
}

async function* large(): AsyncIterable<GenerationEvent> {
  yield tokenEvent('x'.repeat(4_000_000));
  yield finished;
}

/** A server that listens on a socket file, which has small buffers, or on a port. */
async function start(changes: Parameters<typeof startServer>[0], where: 'file' | 'port' = 'file') {
  const started = await startServer({ stallTimeoutMs, ...changes });
  const warnings = vi.spyOn(started.app.log, 'warn');
  await started.app.listen(
    where === 'port' ? { host: '127.0.0.1', port: 0 } : { path: path.join(await temporaryFolder(), 'socket') },
  );
  const { server } = started.app;
  const numConnections = () =>
    new Promise<number>((resolve) => server.getConnections((_, count) => resolve(count ?? -1)));
  return { ...started, server, warnings, numConnections };
}

describe('a client that reads nothing of', () => {
  test.each([
    ['a stream', streamed, endless, 1],
    ['a large reply', whole, large, 1],
    ['the first of several replies', whole.repeat(3), large, 3],
  ])('%s is disconnected after the stall timeout, with one log line', async (_, sent, answer, requests) => {
    const generator = new ScriptedGenerator(answer);
    const { server, warnings, numConnections } = await start({ generator });
    const accepted = once(server, 'connection');
    const client = await connectTo(server);
    const [socket] = await accepted;
    client.write(sent);
    await until(async () => socket.writableNeedDrain && generator.numRequests === requests);
    await check(numChecks - 1);
    expect(socket.destroyed).toBe(false);
    await check(1);
    expect(socket.destroyed).toBe(true);
    await until(async () => (await numConnections()) === 0 && generator.numOpen === 0);
    await check(numChecks);
    expect(warnings.mock.calls).toEqual([
      [
        { pendingBytes: expect.any(Number), requests, remoteAddress: undefined, stallTimeoutMs },
        'a client stopped reading: its connection is closed',
      ],
    ]);
  });

  test('a stream over TCP gets a reset, so that the kernel frees its buffers', async () => {
    const generator = new ScriptedGenerator(endless);
    const { server } = await start({ generator }, 'port');
    const accepted = once(server, 'connection');
    const client = await connectTo(server);
    const [socket] = await accepted;
    client.write(streamed);
    const reset = vi.spyOn(socket, 'resetAndDestroy');
    await until(async () => socket.writableNeedDrain);
    await until(async () => {
      await check(1);
      return socket.destroyed;
    });
    expect(reset).toHaveBeenCalledTimes(1);
  });
});

test('a client that reads a little between two checks is not disconnected, however large a single write is', async () => {
  const { server, warnings } = await start({ generator: new ScriptedGenerator(large) });
  const accepted = once(server, 'connection');
  const client = await connectTo(server);
  const [socket] = await accepted;
  client.write(whole);
  await until(async () => socket.writableNeedDrain);
  const progress = new SendProgress();
  let numRead = 0;
  for (let i = 0; i < 2 * numChecks; i++) {
    progress.check(socket);
    await until(async () => {
      numRead += client.read()?.length ?? 0;
      return progress.check(socket) === 0;
    });
    await check(1);
  }
  expect(socket.writableLength).toBeGreaterThan(4_000_000);
  expect(numRead).toBeLessThan(4_000_000);
  const rest = await readUntil(client, '"total_ms"');
  expect(numRead + rest.length).toBeGreaterThan(4_000_000);
  expect(warnings).not.toHaveBeenCalled();
});

test('a client for which no data waits may stay silent forever', async () => {
  const { server, warnings } = await start({});
  const client = await connectTo(server);
  client.write(whole);
  await readUntil(client, '"total_ms"');
  await check(10 * numChecks);
  client.write(whole);
  expect(await readUntil(client, '"total_ms"')).toMatch(/^HTTP\/1\.1 200 OK/);
  expect(warnings).not.toHaveBeenCalled();
});

test('200 clients that never read hold no slots and no memory, and all of them are disconnected', async () => {
  const numClients = 200;
  const maxPendingEvents = 8;
  const { engine, runner } = await startEngine(
    {},
    {
      maxBatchSize: 8,
      maxModelLen: 512,
      maxStepTokens: 64,
      maxQueueSize: numClients,
      maxPendingEvents,
      otherReply: longToken.id,
    },
  );
  const run = runner.run.bind(runner);
  vi.spyOn(runner, 'run').mockImplementation(async (step) => {
    // As in a real step, the result arrives in a later turn of the event loop.
    await setImmediate();
    return run(step);
  });
  const { server, warnings, numConnections } = await start({ generator: engine });
  const clients = await Promise.all(Array.from({ length: numClients }, () => connectTo(server)));
  const submit = vi.spyOn(engine, 'submit');
  for (const client of clients) client.write(streamed);
  await until(async () => {
    const { numWaiting, numRunning } = engine.stats();
    return submit.mock.calls.length === numClients && numWaiting === 0 && numRunning === 0;
  });
  expect(await numConnections()).toBe(numClients);
  // Without a limit on waiting events, each client would have got its 400 tokens.
  expect(runner.numTokens).toBeLessThan(100 * numClients);

  await check(numChecks);
  await until(async () => (await numConnections()) === 0);
  expect(warnings).toHaveBeenCalledTimes(numClients);
  const pendingBytes = warnings.mock.calls.map(
    ([facts]) => (facts as unknown as { pendingBytes: number }).pendingBytes,
  );
  expect(Math.max(...pendingBytes)).toBeLessThan(3 * longToken.text.length);
  expect(engine.stats()).toMatchObject({ numRunning: 0, numWaiting: 0, numFreeSlots: 8 });
});
