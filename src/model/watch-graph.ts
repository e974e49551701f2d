import { closeSync, type FSWatcher, fstatSync, openSync, watch } from 'node:fs';
import path from 'node:path';
import { dataFile } from './graph/graph-writer.ts';
import { readManifest } from './graph-manifest.ts';

/**
 * Watches the weights of a graph that is being served. They are mapped into memory: once the file is cut short, the next access to
 * what is gone kills the process with SIGBUS and without a log line. A running step may be faster than the event.
 * Removing or replacing a graph is not damage: what is mapped stays.
 * @param onDamage called once, with one line that says what has happened
 * @returns stops watching; where the file system sends no events, nothing is watched
 */
export async function watchGraph(graphPath: string, onDamage: (problem: string) => void): Promise<() => void> {
  const folder = path.dirname(graphPath);
  const file = path.join(folder, dataFile);
  const { bytes } = (await readManifest(folder)).files[dataFile];
  // Stays with the file that is mapped when another one gets its name.
  const handle = openSync(file, 'r');
  let watcher: FSWatcher | undefined;
  let isWatching = true;
  const stop = () => {
    if (!isWatching) return;
    isWatching = false;
    watcher?.close();
    closeSync(handle);
  };
  const check = () => {
    if (!isWatching) return;
    const { size } = fstatSync(handle);
    if (size >= bytes) return;
    stop();
    onDamage(`${file} was cut from ${bytes} to ${size} bytes while it was being served`);
  };
  try {
    watcher = watch(file, { persistent: false }, check).on('error', stop);
  } catch {
    stop();
  }
  // It may have happened before.
  check();
  return stop;
}
