import { type FSWatcher, fstatSync, watch } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import path from 'node:path';
import { dataFile } from './graph/graph-writer.ts';
import { readManifest } from './graph-manifest.ts';

/**
 * Watches the weights of a graph that is being served. ONNX Runtime maps the file: after a truncation, the next access to a missing
 * page kills the process with SIGBUS and without a log line. A running step may get there before the event.
 * Removing or replacing the graph is harmless, because the mapped file stays.
 * @param onDamage called once, with one line that says what happened
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
  /** The size that the file should have. */
  readonly bytes: number;
  /** Refers to the mapped file even if another one takes its name. */
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
  // The file may be too short already. Not called at once: the caller does not have `stop` yet.
  setImmediate(check);
  return stop;
}
