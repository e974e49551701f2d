import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';

const host = hostname().replace(/\W/g, '_');

/** The names that this process has used. After a restart in a container, a new process may have the same process id. */
const own = new Set<string>();

/** A name for something that this process writes. Others can tell from it whether the writer is still alive. */
export function writerName(): string {
  const name = `${host}-${process.pid}-${randomUUID().slice(0, 8)}`;
  own.add(name);
  return name;
}

/** The state of a writer. It is unknown for processes on another machine or in another container. */
export type WriterState = 'alive' | 'dead' | 'unknown';

/** Returns undefined if this is not the name of a writer. */
export function writerState(name: string): WriterState | undefined {
  const [, writerHost, processId] = /^(\w+)-(\d+)-[0-9a-f]{8}$/.exec(name) ?? [];
  if (processId === undefined) return undefined;
  if (writerHost !== host) return 'unknown';
  if (Number(processId) === process.pid) return own.has(name) ? 'alive' : 'dead';
  try {
    process.kill(Number(processId), 0);
    return 'alive';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' ? 'alive' : 'dead';
  }
}
