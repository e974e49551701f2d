import { isIPv4, isIPv6, type Server } from 'node:net';
import { ServingError, show } from '../core/index.ts';

export interface AllowedHostsOptions {
  /** The name or address to listen on. */
  readonly host: string;
  /** Further names; `*` allows any. Without further names, only servers on a loopback address check the header. */
  readonly allowedHosts: readonly string[];
}

/**
 * Checks the Host header. A web page can point its own domain name at a loopback address, and then read what is served there as if it
 * were its own site (DNS rebinding). Only this header shows it.
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

  /** Accepts requests without the header. @throws {ServingError} the name is not allowed */
  check(header: string | undefined): void {
    if (this.#isAnyAllowed || header === undefined) return;
    const name = nameOf(header);
    if (isLoopbackName(name) || this.#names.has(name)) return;
    throw new ServingError(
      'host_not_allowed',
      `the Host header is ${show(header)}; it must be localhost, another loopback name, or one of the allowed hosts`,
    );
  }
}

/** Normalized, without the port. */
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
