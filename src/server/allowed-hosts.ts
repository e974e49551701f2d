import { isIPv4, isIPv6, type Server } from 'node:net';
import { ServingError, show } from '../core/index.ts';

export interface AllowedHostsOptions {
  /** Name or address that the server is told to listen on. */
  readonly host: string;
  /** Further names; `*` is any. If there are none, only servers on a loopback address check names. */
  readonly allowedHosts: readonly string[];
}

/**
 * The names in the Host header that are served. A web page can point a name of its own at a loopback address and then read what is
 * served there as if it were its own site (DNS rebinding). Only this header gives it away.
 */
export class AllowedHosts {
  readonly #names: ReadonlySet<string>;
  #isAnyAllowed: boolean;

  constructor(server: Server, { host, allowedHosts }: AllowedHostsOptions) {
    this.#names = new Set([...allowedHosts, isIPv6(host) ? `[${host}]` : host].map(nameOf));
    this.#isAnyAllowed = allowedHosts.includes('*');
    server.on('listening', () => {
      if (allowedHosts.length === 0) this.#isAnyAllowed = !isLoopbackAddress(server.address());
    });
  }

  /** @throws {ServingError} a name that is not served; a request without the header has none */
  check(header: string | undefined): void {
    if (this.#isAnyAllowed || header === undefined) return;
    const name = nameOf(header);
    if (isLoopbackName(name) || this.#names.has(name)) return;
    throw new ServingError(
      'host_not_allowed',
      `the header host is ${show(header)}; it has to be localhost, another loopback name, or one of --allowed-hosts`,
    );
  }
}

/** Without its port, as it is compared. */
function nameOf(header: string): string {
  return header.toLowerCase().replace(/:\d*$/, '').replace(/\.$/, '');
}

function isLoopbackName(name: string): boolean {
  return name === 'localhost' || name.endsWith('.localhost') || name === '[::1]' || isLoopbackIPv4(name);
}

function isLoopbackIPv4(address: string): boolean {
  return isIPv4(address) && address.startsWith('127.');
}

function isLoopbackAddress(address: ReturnType<Server['address']>): boolean {
  if (address === null || typeof address === 'string') return false;
  return address.address === '::1' || isLoopbackIPv4(address.address.replace(/^::ffff:/, ''));
}
