import { type FSWatcher, fstatSync, watch } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import path from 'node:path';
import { dataFile } from './graph/graph-writer.ts';
import { readManifest } from './graph-manifest.ts';

/**
 * Watches the weights of a graph that is being served. They are mapped into memory: once the file is cut short, the next access to
 * what is gone kills the process with SIGBUS and without a log line. A step that is running may be faster than the event.
 * Removing or replacing a graph is not damage: what is mapped stays.
 * @param onDamage called once, with one line that says what has happened
 * @returns stops watching; nothing is watched where the graph is gone or the file system sends no events
 */
export async function watchGraph(graphPath: string, onDamage: (problem: string) => void): Promise<() => void> {
  const folder = path.dirname(graphPath);
  const file = path.join(folder, dataFile);
  try {
    const { bytes } = (await readManifest(folder)).files[dataFile];
    return watchSize(file, { bytes, handle: await open(file), onDamage });
  } catch {
    return () => {};
  }
}

interface Watched {
  /** What the file should have. */
  readonly bytes: number;
  /** Stays with the file that is mapped when another one gets its name. */
  readonly handle: FileHandle;
  readonly onDamage: (problem: string) => void;
}

function watchSize(file: string, { bytes, handle, onDamage }: Watched): () => void {
  let watcher: FSWatcher | undefined;
  let isStopped = false;
  const stop = () => {
    if (isStopped) return;
    isStopped = true;
    watcher?.close();
    handle.close().catch(() => {});
  };
  const check = () => {
    if (isStopped) return;
    const { size } = fstatSync(handle.fd);
    if (size >= bytes) return;
    stop();
    onDamage(`${file} was cut from ${bytes} to ${size} bytes while it was being served`);
  };
  try {
    watcher = watch(file, { persistent: false }, check).on('error', stop);
  } catch {
    stop();
  }
  // It may have happened before. Not at once: the caller does not have the way to stop yet.
  setImmediate(check);
  return stop;
}
