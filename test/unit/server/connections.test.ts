import { once } from 'node:events';
import { type AddressInfo, connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { GenerationEvent } from '../../../src/core/index.ts';
import { aborted, finished, ScriptedGenerator, startServer, tokenEvent } from '../../support/fake-generator.ts';
import { connectTo, postOf, readUntil } from '../../support/raw-connection.ts';
import { until } from '../../support/until.ts';

const getLive = 'GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n';

/** A server that listens on a free port. */
async function start(changes: Parameters<typeof startServer>[0] = {}, host = '127.0.0.1') {
  const started = await startServer({ host, ...changes });
  const warnings = vi.spyOn(started.app.log, 'warn');
  await started.app.listen({ host, port: 0 });
  return { ...started, server: started.app.server, warnings };
}

/** Yields one token, then waits until the client disconnects. */
async function* untilGone(_: unknown, signal: AbortSignal): AsyncIterable<GenerationEvent> {
  yield tokenEvent('Hello');
  await aborted(signal);
}

describe('a connection over the limit', () => {
  test('gets a 503 and is closed, until another connection ends', async () => {
    const { server } = await start({ maxConnections: 2 });
    const [first, second] = [await connectTo(server), await connectTo(server)];
    for (const socket of [first, second]) {
      socket.write(getLive);
      expect(await readUntil(socket, '}')).toMatch(/^HTTP\/1\.1 200 OK/);
    }
    const third = await connectTo(server);
    third.write(getLive);
    const answer = await readUntil(third);
    expect(answer).toMatch(/^HTTP\/1\.1 503 Service Unavailable\r\n/);
    expect(answer).toMatch(/\r\nretry-after: 1\r\nconnection: close\r\n/);
    expect(JSON.parse(answer.slice(answer.indexOf('{')))).toEqual({
      error: {
        message: '2 connections are already open; retry in 1 s',
        type: 'unavailable_error',
        param: null,
        code: 'too_many_connections',
      },
    });
    const left = once(first, 'close');
    first.destroy();
    await left;
    await until(async () => {
      const fourth = await connectTo(server);
      fourth.write(getLive);
      const status = (await readUntil(fourth, '}')).slice(9, 12);
      fourth.destroy();
      return status === '200';
    });
    second.write(getLive);
    expect(await readUntil(second, '}')).toMatch(/^HTTP\/1\.1 200 OK/);
  });

  test('is closed even if its client never closes it, and many are logged in one line', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    onTestFinished(() => void vi.useRealTimers());
    const { server, warnings } = await start({ maxConnections: 1, stallTimeoutMs: 4 });
    const only = await connectTo(server);
    only.write(getLive);
    await readUntil(only, '}');
    const numRefused = 70;
    const answers = await Promise.all(
      Array.from({ length: numRefused }, async () => {
        const socket = await connectTo(server);
        // Connections beyond those that may wait are closed at once, possibly with a reset.
        return readUntil(socket).catch(() => '');
      }),
    );
    expect(answers.filter((answer) => answer.includes('too_many_connections'))).toHaveLength(1);
    const numConnections = () => new Promise((resolve) => server.getConnections((_, count) => resolve(count)));
    expect(await numConnections()).toBe(2);
    vi.advanceTimersByTime(1);
    expect(warnings.mock.calls).toEqual([['70 connections were refused: the limit is 1 (maxConnections)']]);
    await until(async () => {
      vi.advanceTimersByTime(1);
      return (await numConnections()) === 1;
    });
    expect(warnings).toHaveBeenCalledTimes(1);
    only.write(getLive);
    expect(await readUntil(only, '}')).toMatch(/^HTTP\/1\.1 200 OK/);
  });
});

test('of 5000 pipelined requests, 32 at a time are open and the others are refused, in order', async () => {
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const generator = new ScriptedGenerator(async function* () {
    await released;
    yield finished;
  });
  const { server } = await start({ generator });
  let numSeen = 0;
  server.on('request', () => numSeen++);
  const client = await connectTo(server);
  client.write(postOf({ prompt: [5] }).repeat(5000));
  await until(async () => generator.numOpen === 32 && numSeen >= 34);
  const other = await connectTo(server);
  other.write(postOf({ prompt: [5] }));
  await until(async () => generator.numOpen === 33);
  release();
  expect(await readUntil(other, '"total_ms"')).toMatch(/^HTTP\/1\.1 200 OK/);

  let text = '';
  let statuses: (string | undefined)[] = [];
  while (statuses.length < 5000) {
    text += await readUntil(client, '}');
    statuses = Array.from(text.matchAll(/HTTP\/1\.1 (\d+) /g), ([, status]) => status);
  }
  expect(statuses.slice(0, 34)).toEqual([...Array(32).fill('200'), '429', '429']);
  expect(new Set(statuses)).toEqual(new Set(['200', '429']));
  expect(generator.maxOpen).toBe(33);
  const refusal = text.slice(text.indexOf(' 429 '));
  expect(refusal).toContain('\r\nretry-after: 1\r\n');
  expect(JSON.parse(refusal.slice(refusal.indexOf('{'), refusal.indexOf('}}') + 2))).toEqual({
    error: {
      message: 'this connection already has 32 unanswered requests; retry in 1 s',
      type: 'rate_limit_error',
      param: null,
      code: 'too_many_pipelined',
    },
  });
});

describe('a client that closes its sending side after its request', () => {
  const message = 'the client closed its sending side before the reply was complete; it must stay open until then';
  const error = { message, type: 'invalid_request_error', param: null, code: 'half_closed' };

  test('gets an error, and its requests are cancelled', async () => {
    const generator = new ScriptedGenerator(untilGone);
    const { server } = await start({ generator });
    const client = await connectTo(server);
    client.end(postOf({ prompt: [5] }).repeat(2));
    const answers = (await readUntil(client)).split(/(?=HTTP\/1\.1 )/);
    expect(answers).toHaveLength(2);
    for (const answer of answers) {
      expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
      expect(JSON.parse(answer.slice(answer.indexOf('{')))).toEqual({ error });
    }
    expect(generator.numOpen).toBe(0);
  });

  test('gets an error event in a stream', async () => {
    const generator = new ScriptedGenerator(untilGone);
    const { server } = await start({ generator });
    const client = await connectTo(server);
    client.write(postOf({ prompt: [5], stream: true }));
    await readUntil(client, 'Hello');
    client.end();
    expect(await readUntil(client)).toContain(`event: error\ndata: ${JSON.stringify({ error })}\n\n`);
    expect(generator.numOpen).toBe(0);
  });

  test('gets an error if the request is not complete', async () => {
    const { server } = await start();
    const client = await connectTo(server);
    client.end(postOf({ prompt: [5] }).slice(0, -1));
    const answer = await readUntil(client);
    expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    expect(JSON.parse(answer.slice(answer.indexOf('{'))).error.code).toBe('invalid_request');
  });

  test('gets a reply that is ready', async () => {
    const { server } = await start();
    const client = await connectTo(server);
    client.end(getLive);
    expect(await readUntil(client)).toMatch(/^HTTP\/1\.1 200 OK.*"live"/s);
  });
});

test.for(['127.0.0.1', '::1'])(
  'a server on localhost listens on %s, and notices disconnects there',
  async (address, context) => {
    const isHere = Object.values(networkInterfaces()).some((all) => all?.some((one) => one.address === address));
    if (!isHere) context.skip(`${address} is not on this machine`);
    const generator = new ScriptedGenerator(untilGone);
    const { server, app } = await start({ generator }, 'localhost');
    const { port } = server.address() as AddressInfo;
    const client = connect({ host: address, port });
    onTestFinished(() => void client.destroy());
    client.write(postOf({ prompt: [5], stream: true }));
    await readUntil(client, 'Hello');
    expect(generator.numOpen).toBe(1);
    client.destroy();
    await until(async () => generator.numOpen === 0);
    await app.close();
  },
);
