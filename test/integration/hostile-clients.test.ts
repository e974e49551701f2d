import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { postOf } from '../support/raw-connection.ts';
import { serverForAllTests } from '../support/server.ts';
import { slowSteps } from '../support/weft-process.ts';

const up = serverForAllTests(['--max-batch-size', '4', '--log-level', 'warn'], slowSteps);

const long = { prompt: 'Once upon a time', max_new_tokens: 400, ignore_eos: true };
const short = { prompt: 'The little dog', max_new_tokens: 20 };

/** A new connection on which a request was sent and nothing was read. */
async function rawRequest(body: unknown): Promise<Socket> {
  const { hostname, port } = new URL(up.client.url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  socket.pause();
  socket.write(postOf(body));
  return socket;
}

const allFree = () =>
  up.client.until(({ running, waiting, free_slots }) => running === 0 && waiting === 0 && free_slots === 4);

describe('other clients are not affected, and slots are freed, when a client', () => {
  test('disconnects in the middle of its stream', async () => {
    const expected = await up.client.generate(short);
    const before = await allFree();
    const leaving = new AbortController();
    const stream = up.client.stream(long, leaving.signal);
    const other = (async () => {
      await up.client.until(({ running }) => running > 0);
      return up.client.generateStreamed(short);
    })();
    for (let i = 0; i < 5; i++) await stream.next();
    leaving.abort();
    const rest = async () => {
      for await (const { event } of stream) expect(event).toBe('token');
    };
    await expect(rest()).rejects.toThrow('aborted');
    const { steps } = await allFree();
    expect(await other).toMatchObject({ token_ids: expected.token_ids });
    expect(steps - before.steps).toBeLessThan(300);
  });

  test('disconnects while its request waits', async () => {
    const running = Array.from({ length: 4 }, () => up.client.generate(long));
    await up.client.until((health) => health.free_slots === 0);
    const leaving = new AbortController();
    const waiting = up.client.generate(short, leaving.signal);
    const patient = up.client.generate(short);
    await up.client.until((health) => health.waiting === 2);
    leaving.abort();
    await expect(waiting).rejects.toThrow();
    await up.client.until((health) => health.waiting === 1 && health.running === 4);
    const replies = await Promise.all(running);
    expect(replies.map((reply) => reply.token_ids.length)).toEqual([400, 400, 400, 400]);
    expect((await patient).token_ids.length).toBeGreaterThan(0);
    await allFree();
  });

  test('reads nothing until its story is finished, and then one byte at a time', async () => {
    const slow = await rawRequest({ ...long, stream: true });
    await up.client.until(({ running }) => running === 1);
    expect((await up.client.generateStreamed(short)).token_ids.length).toBeGreaterThan(0);
    await allFree();
    let text = '';
    while (!text.includes('event: done')) {
      const byte = slow.read(1);
      if (byte === null) await once(slow, 'readable');
      else text += byte;
    }
    expect(text.match(/event: token/g)).toHaveLength(400);
    slow.destroy();
  });

  test('disconnects without reading', async () => {
    const before = await allFree();
    const gone = await rawRequest({ ...long, stream: true });
    await up.client.until(({ running }) => running === 1);
    gone.destroy();
    const { steps } = await allFree();
    expect(steps - before.steps).toBeLessThan(300);
  });
});

test('all requests of a client that pipelines many and disconnects are cancelled', async () => {
  const before = await allFree();
  const { hostname, port } = new URL(up.client.url);
  const socket = connect(Number(port), hostname);
  socket.write(postOf(long).repeat(12));
  await up.client.until(({ running, waiting }) => running === 4 && waiting === 8);
  socket.destroy();
  const { steps } = await allFree();
  expect(steps - before.steps).toBeLessThan(300);
});

test('a half-closed client gets an error, and costs no more than one that disconnects', async () => {
  const before = await allFree();
  const { hostname, port } = new URL(up.client.url);
  const socket = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
  socket.write(postOf(long));
  await up.client.until(({ running }) => running === 1);
  socket.end();
  let answer = '';
  for await (const chunk of socket) answer += chunk;
  expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  expect(answer).toContain('"code":"half_closed"');
  const { steps } = await allFree();
  expect(steps - before.steps).toBeLessThan(300);
});

test('a web page that points its own name at this machine is refused', async () => {
  const { hostname, port } = new URL(up.client.url);
  const socket = connect(Number(port), hostname);
  socket.write(postOf(short, 'connection: close\r\n').replace('host: localhost', 'host: evil.example'));
  let answer = '';
  for await (const chunk of socket) answer += chunk;
  expect(answer).toMatch(/^HTTP\/1\.1 403 /);
  expect(answer).toContain('"code":"host_not_allowed"');
});

test('an unsupported Expect header gets an error in the usual shape', async () => {
  const { hostname, port } = new URL(up.client.url);
  const socket = connect(Number(port), hostname);
  socket.write(
    'POST /generate HTTP/1.1\r\nhost: localhost\r\nx-request-id: mine\r\nexpect: miracles\r\nconnection: close\r\ncontent-length: 0\r\n\r\n',
  );
  let answer = '';
  for await (const chunk of socket) answer += chunk;
  expect(answer).toMatch(/^HTTP\/1\.1 417 /);
  expect(answer).toContain('\r\nx-request-id: mine\r\n');
  expect(answer).toContain('"code":"expectation_failed"');
});

test('a client that sends too much always gets the reason, never a broken connection', async () => {
  const body = 'x'.repeat(10 * 2 ** 20);
  const upload = async (path: string, type: string) =>
    (await fetch(up.client.url + path, { method: 'POST', headers: { 'content-type': type }, body })).status;
  const statuses: number[] = [];
  for (let i = 0; i < 10; i++) {
    statuses.push(await upload('/generate', 'application/json'));
    statuses.push(await upload('/generate', 'text/plain'));
    statuses.push(await upload('/nowhere', 'text/plain'));
  }
  expect(new Set(statuses)).toEqual(new Set([413, 415, 404]));
});

test('garbage of every kind does not affect a concurrent stream', async () => {
  const expected = await up.client.generate(long);
  const stream = up.client.generateStreamed(long);
  const bodies: [string, Record<string, string>][] = [
    ['{"prompt": ', {}],
    ['[]', {}],
    ['{"prompt": ""}', {}],
    ['{"prompt": [99999]}', {}],
    ['{"prompt": [NaN]}', {}],
    ['{"prompt": "x", "temperature": "hot"}', {}],
    ['{"prompt": "x", "nonsense": 1}', {}],
    [JSON.stringify({ prompt: 'word '.repeat(600) }), {}],
    [JSON.stringify({ prompt: 'x'.repeat(96_000) }), {}],
    ['x'.repeat(10 * 2 ** 20), {}],
    ['prompt=x', { 'content-type': 'application/x-www-form-urlencoded' }],
    ['<prompt/>', { 'content-type': 'application/xml' }],
  ];
  const responses = await Promise.all(
    bodies.map(([body, headers]) =>
      fetch(`${up.client.url}/generate`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body,
      }),
    ),
  );
  expect(responses.map(({ status }) => status)).toEqual([400, 400, 400, 400, 400, 400, 400, 400, 400, 413, 415, 415]);
  for (const response of responses) {
    const body = (await response.json()) as { error: { message: string } };
    expect(body.error.message.length).toBeGreaterThan(10);
  }
  expect((await stream).token_ids).toEqual(expected.token_ids);
  await allFree();
});

test('input that is not HTTP gets an error in the usual shape, and the connection is closed', async () => {
  const { hostname, port } = new URL(up.client.url);
  const socket = connect(Number(port), hostname);
  socket.write('GARBAGE\r\n\r\n');
  let answer = '';
  for await (const chunk of socket) answer += chunk;
  expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
  expect(JSON.parse(answer.slice(answer.indexOf('{'))).error.code).toBe('invalid_request');
});
