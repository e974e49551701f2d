import { describe, expect, test } from 'vitest';
import { startServer } from '../../support/fake-generator.ts';
import { connectTo, readUntil } from '../../support/raw-connection.ts';

/** The reply of a server to a request with this Host header. */
async function answer(
  name: string | undefined,
  { host = '127.0.0.1', allowedHosts = [] as readonly string[], path = '/livez' } = {},
): Promise<string> {
  const { app } = await startServer({ host, allowedHosts });
  await app.listen({ host, port: 0 });
  const socket = await connectTo(app.server);
  socket.write(`GET ${path} HTTP/1.0\r\n${name === undefined ? '' : `host: ${name}\r\n`}\r\n`);
  return readUntil(socket);
}

const served = /^HTTP\/1\.1 200 OK\r\n/;
const refused = /^HTTP\/1\.1 403 Forbidden\r\n/;

describe('a server on a loopback address', () => {
  test.each([
    'localhost',
    'LOCALHOST:8080',
    'localhost.:80',
    'weft.localhost',
    '127.0.0.1:9',
    '127.1.2.3',
    '[::1]:8080',
    '[::1]',
    undefined,
  ])('serves %s', async (name) => {
    expect(await answer(name)).toMatch(served);
  });

  test.each(['evil.example', 'evil.example:8080', 'localhost.evil.example', '127.0.0.1.evil.example', '10.0.0.1', 'x'])(
    'refuses %s',
    async (name) => {
      const text = await answer(name);
      expect(text).toMatch(refused);
      expect(JSON.parse(text.slice(text.indexOf('{'))).error).toEqual({
        message: `the Host header is "${name}"; it must be localhost, another loopback name, or one of the allowed hosts`,
        type: 'invalid_request_error',
        param: null,
        code: 'host_not_allowed',
      });
    },
  );

  test.each(['/health', '/openapi.json', '/nowhere'])('refuses on every route: %s', async (path) => {
    expect(await answer('evil.example', { path })).toMatch(refused);
  });

  test.each([
    [['weft.example'], 'Weft.example:8080', served],
    [['weft.example', 'other.example'], 'other.example', served],
    [['weft.example'], 'localhost', served],
    [['weft.example'], 'evil.example', refused],
    [['*'], 'evil.example', served],
  ])('with allowedHosts %j replies to %s', async (allowedHosts, name, status) => {
    expect(await answer(name, { allowedHosts })).toMatch(status);
  });
});

describe('a server on other addresses', () => {
  const host = '0.0.0.0';

  test.each([
    [[], 'evil.example', served],
    [['weft.example'], 'weft.example', served],
    [['weft.example'], '127.0.0.1:8080', served],
    [['weft.example'], 'evil.example', refused],
  ])('with allowedHosts %j replies to %s', async (allowedHosts, name, status) => {
    expect(await answer(name, { host, allowedHosts })).toMatch(status);
  });
});

test('a server accepts the name that it listens on', async () => {
  expect(await answer('127.5.5.5', { host: '127.5.5.5', allowedHosts: ['weft.example'] })).toMatch(served);
});
