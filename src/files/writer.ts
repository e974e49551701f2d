import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';

const host = hostname().replace(/\W/g, '_');

/** The names that this process has given: after a restart in a container, a new one has the number of the old. */
const own = new Set<string>();

/** A name for something that this process writes: others can tell from it whether the writer still lives. */
export function writerName(): string {
  const name = `${host}-${process.pid}-${randomUUID().slice(0, 8)}`;
  own.add(name);
  return name;
}

/** What is known of a writer; of a process on another machine (or in another container) nothing is. */
export type WriterState = 'alive' | 'dead' | 'unknown';

/** @returns undefined if it is not a writer's name */
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
