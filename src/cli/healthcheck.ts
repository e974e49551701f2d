/** The containers' health check: ends with 0 if the server takes requests, else with 1 and one line that says why. */
import { isIPv6 } from 'node:net';
import { messageOf } from '../core/index.ts';
import { serverSettings } from './running-server.ts';

/** Where a server can be reached that listens on every interface. */
const own = new Map([
  ['0.0.0.0', '127.0.0.1'],
  ['::', '::1'],
]);

try {
  const { host, port } = serverSettings(process.argv.slice(2), process.env);
  if (port === 0) throw new Error('the server picks its own port: give it one with --port');
  const address = own.get(host) ?? host;
  const url = `http://${isIPv6(address) ? `[${address}]` : address}:${port}/readyz`;
  const response = await fetch(url).catch((error: unknown) => {
    throw new Error(`${url} cannot be reached: ${messageOf(error instanceof Error ? (error.cause ?? error) : error)}`);
  });
  if (!response.ok) throw new Error(`${url} answers ${response.status}`);
} catch (error) {
  process.stderr.write(`weft: ${messageOf(error)}\n`);
  process.exitCode = 1;
}
