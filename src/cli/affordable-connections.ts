import { readdirSync } from 'node:fs';
import { UserError } from '../core/index.ts';
import { limits } from './failure.ts';

/** File descriptors for what a server opens besides connections: its sockets, and the thread that tokenizes long prompts. */
const reservedFiles = 32;

/** The server answers up to a quarter more connections than it takes, to say why it refuses them. */
const shareOfTaken = 4 / 5;

/**
 * As many of the wanted connections as the limit of open files allows. Where descriptors run out, libuv closes connections and nobody is told.
 * @throws {UserError} it allows none
 */
export function affordableConnections(wanted: number): number {
  const { openFiles } = limits();
  if (openFiles === undefined) return wanted;
  const affordable = Math.floor((openFiles - numOpenFiles() - reservedFiles) * shareOfTaken);
  if (affordable >= 1) return Math.min(wanted, affordable);
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
