import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, onTestFinished, test } from 'vitest';
import { measure } from '../../../bench/race/measure.ts';
import { scenarios } from '../../../bench/race/scenarios.ts';

test('unanswered requests are aborted at the end of the window, even if garbage is collected meanwhile', async () => {
  const server = http.createServer(() => {}).listen(0, '127.0.0.1');
  await once(server, 'listening');
  setFlagsFromString('--expose-gc');
  const collecting = setInterval(runInNewContext('gc'), 20);
  onTestFinished(() => {
    clearInterval(collecting);
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const process = { url: `http://127.0.0.1:${port}`, hasEnded: false };
  const signal = new AbortController().signal;
  await expect(measure(process, {}, scenarios.seed, { warmUpMs: 0, measureMs: 200, signal })).rejects.toThrow(
    'no request was answered in time',
  );
});
