/** The containers' health check: ends with 0 if the server that these variables describe takes requests. */
import { isIPv6 } from 'node:net';
import { loadSettings } from '../config/index.ts';

const { host, port } = loadSettings([], process.env);
/** Where one is that listens on every interface. */
const own = new Map([
  ['0.0.0.0', '127.0.0.1'],
  ['::', '::1'],
]);
const address = own.get(host) ?? host;
const response = await fetch(`http://${isIPv6(address) ? `[${address}]` : address}:${port}/readyz`).catch(
  () => undefined,
);
process.exitCode = response?.ok ? 0 : 1;
