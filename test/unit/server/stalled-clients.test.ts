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
const lookIntervalMs = 5000;
/** The first look only notes how much has been taken. */
const numLooks = 1 + stallTimeoutMs / lookIntervalMs;
const streamed = postOf({ prompt: [5], stream: true, max_new_tokens: 400, ignore_eos: true });
const whole = postOf({ prompt: [5] });

// No timer of the server runs but by `look`.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  onTestFinished(() => void vi.useRealTimers());
});

/** Lets the server look at its connections, and the event loop carry on in between. */
async function look(times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    vi.advanceTimersByTime(lookIntervalMs);
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

/** A server that listens on a socket file, whose buffers are small, or on a port. */
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

describe('a client that takes nothing of', () => {
  test.each([
    ['a stream', streamed, endless, 1],
    ['a large reply', whole, large, 1],
    ['the first of several replies', whole.repeat(3), large, 3],
  ])('%s is cut after the stall timeout, and that is logged once', async (_, sent, answer, requests) => {
    const generator = new ScriptedGenerator(answer);
    const { server, warnings, numConnections } = await start({ generator });
    const accepted = once(server, 'connection');
    const client = await connectTo(server);
    const [socket] = await accepted;
    client.write(sent);
    await until(async () => socket.writableNeedDrain && generator.numRequests === requests);
    await look(numLooks - 1);
    expect(socket.destroyed).toBe(false);
    await look(1);
    expect(socket.destroyed).toBe(true);
    await until(async () => (await numConnections()) === 0 && generator.numOpen === 0);
    await look(numLooks);
    expect(warnings.mock.calls).toEqual([
      [
        { pendingBytes: expect.any(Number), requests, remoteAddress: undefined, stallTimeoutMs },
        'a client stopped reading: its connection is closed',
      ],
    ]);
  });

  test('a stream over TCP meets a reset, so that the kernel keeps nothing for it', async () => {
    const generator = new ScriptedGenerator(endless);
    const { server } = await start({ generator }, 'port');
    const accepted = once(server, 'connection');
    const client = await connectTo(server);
    const [socket] = await accepted;
    client.write(streamed);
    const reset = vi.spyOn(socket, 'resetAndDestroy');
    await until(async () => socket.writableNeedDrain);
    await until(async () => {
      await look(1);
      return socket.destroyed;
    });
    expect(reset).toHaveBeenCalledTimes(1);
  });
});

test('a client that takes a little between two looks is not cut, whatever it is sent in one piece', async () => {
  const { server, warnings } = await start({ generator: new ScriptedGenerator(large) });
  const accepted = once(server, 'connection');
  const client = await connectTo(server);
  const [socket] = await accepted;
  client.write(whole);
  await until(async () => socket.writableNeedDrain);
  const progress = new SendProgress();
  let numRead = 0;
  for (let i = 0; i < 2 * numLooks; i++) {
    progress.check(socket);
    await until(async () => {
      numRead += client.read()?.length ?? 0;
      return progress.check(socket) === 0;
    });
    await look(1);
  }
  expect(socket.writableLength).toBeGreaterThan(4_000_000);
  expect(numRead).toBeLessThan(4_000_000);
  const rest = await readUntil(client, '"total_ms"');
  expect(numRead + rest.length).toBeGreaterThan(4_000_000);
  expect(warnings).not.toHaveBeenCalled();
});

test('a client for which nothing waits may be silent for ever', async () => {
  const { server, warnings } = await start({});
  const client = await connectTo(server);
  client.write(whole);
  await readUntil(client, '"total_ms"');
  await look(10 * numLooks);
  client.write(whole);
  expect(await readUntil(client, '"total_ms"')).toMatch(/^HTTP\/1\.1 200 OK/);
  expect(warnings).not.toHaveBeenCalled();
});

test('200 clients that never read hold neither slots nor memory, and all of them are cut', async () => {
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
    // As with a real step, the result comes in a later turn of the event loop.
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
  // Without a bound on what waits for a client, each would have been given its 400 tokens.
  expect(runner.numTokens).toBeLessThan(100 * numClients);

  await look(numLooks);
  await until(async () => (await numConnections()) === 0);
  expect(warnings).toHaveBeenCalledTimes(numClients);
  const pendingBytes = warnings.mock.calls.map(
    ([facts]) => (facts as unknown as { pendingBytes: number }).pendingBytes,
  );
  expect(Math.max(...pendingBytes)).toBeLessThan(3 * longToken.text.length);
  expect(engine.stats()).toMatchObject({ numRunning: 0, numWaiting: 0, numFreeSlots: 8 });
});
