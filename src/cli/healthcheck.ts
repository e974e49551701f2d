/** The health check of containers: exits with 0 if the server accepts requests, else with 1 and a line that says why. */
import { isIPv6 } from 'node:net';
import { messageOf } from '../core/index.ts';
import { serverSettings } from './running-server.ts';

/** The loopback address of a server that listens on every interface. */
const loopback = new Map([
  ['0.0.0.0', '127.0.0.1'],
  ['::', '::1'],
]);

try {
  const { host, port } = serverSettings(process.argv.slice(2), process.env);
  if (port === 0) throw new Error('the server picks its own port; set one with --port');
  const address = loopback.get(host) ?? host;
  const url = `http://${isIPv6(address) ? `[${address}]` : address}:${port}/readyz`;
  const response = await fetch(url).catch((error: unknown) => {
    throw new Error(`${url} cannot be reached: ${messageOf(error instanceof Error ? (error.cause ?? error) : error)}`);
  });
  if (!response.ok) throw new Error(`${url} answers ${response.status}`);
} catch (error) {
  process.stderr.write(`weft: ${messageOf(error)}\n`);
  process.exitCode = 1;
}
