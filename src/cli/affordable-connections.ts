import { readdirSync } from 'node:fs';
import { UserError } from '../core/index.ts';
import { maxRefusedFor } from '../server/index.ts';
import { limits } from './failure.ts';

/** File descriptors for what a server opens besides connections: its sockets, and the thread that tokenizes long prompts. */
const reservedFiles = 32;

/**
 * As many of the wanted connections as the limit of open files allows. Where descriptors run out, libuv closes connections and nobody is told.
 * @throws {UserError} it allows none
 */
export function affordableConnections(wanted: number): number {
  const { openFiles } = limits();
  if (openFiles === undefined) return wanted;
  const available = openFiles - numOpenFiles() - reservedFiles;
  let affordable = Math.min(wanted, available);
  while (affordable > 0 && affordable + maxRefusedFor(affordable) > available) affordable--;
  if (affordable >= 1) return affordable;
  throw new UserError(
    `the limit of open files is ${openFiles}, which leaves none for connections: raise it with ulimit -n`,
  );
}

function numOpenFiles(): number {
  try {
    return readdirSync('/dev/fd').length;
  } catch {
    return 0;
  }
}
