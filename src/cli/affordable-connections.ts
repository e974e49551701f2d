import { readdirSync } from 'node:fs';
import { UserError } from '../core/index.ts';
import { maxRefusedFor } from '../server/index.ts';
import { limits } from './failure.ts';

/** File descriptors for everything but connections, such as listening sockets and the tokenizer thread. */
const reservedFiles = 32;

/**
 * Reduces the wanted number of connections to what the limit of open files allows. When descriptors run out, libuv silently closes
 * connections.
 * @throws {UserError} the limit allows no connection at all
 */
export function affordableConnections(wanted: number): number {
  const { openFiles } = limits();
  if (openFiles === undefined) return wanted;
  const available = openFiles - numOpenFiles() - reservedFiles;
  let affordable = Math.min(wanted, available);
  while (affordable > 0 && affordable + maxRefusedFor(affordable) > available) affordable--;
  if (affordable >= 1) return affordable;
  throw new UserError(
    `the limit of open files is ${openFiles}, which leaves none for connections; raise it with ulimit -n`,
  );
}

function numOpenFiles(): number {
  try {
    return readdirSync('/dev/fd').length;
  } catch {
    return 0;
  }
}
