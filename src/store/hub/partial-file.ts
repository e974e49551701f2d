import { copyFile, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { ensureFolder, exists, writerName, writerState } from '../../files/index.ts';

/**
 * A file that is being downloaded. Its name says which process is writing it: `<file>.<writer>.incomplete`.
 * A process writes only files with its own name. It waits while another process is writing the same file, and resumes what an ended
 * process has left.
 */
export class PartialFile {
  readonly #target: string;
  readonly path: string;

  private constructor(target: string) {
    this.#target = target;
    this.path = `${target}.${writerName()}${suffix}`;
  }

  /** @returns undefined if the target is complete, or another process has just completed it */
  static async claim(
    target: string,
    { isWhole, onWait }: { isWhole(): Promise<boolean>; onWait(): void },
  ): Promise<PartialFile | undefined> {
    await ensureFolder(path.dirname(target));
    let isWaiting = false;
    for (;;) {
      const partials = await partialsOf(target);
      if (partials.some(({ state }) => state === 'written')) {
        if (!isWaiting) onWait();
        isWaiting = true;
        await setTimeout(pollMs);
        continue;
      }
      if (await isWhole()) {
        await removeLeft(target);
        return undefined;
      }
      const own = new PartialFile(target);
      await own.#begin(partials);
      const rivals = (await partialsOf(target)).filter(({ path, state }) => state === 'written' && path !== own.path);
      // Of several processes that start at once, one goes ahead. Even if two do, each writes its own file.
      if (rivals.every((rival) => own.path < rival.path)) return own;
      await own.abandon();
    }
  }

  /** How many bytes of the target earlier attempts have left. */
  static async bytesOf(target: string): Promise<number> {
    return Math.max(0, ...(await partialsOf(target)).map(({ bytes }) => bytes));
  }

  async #begin(partials: readonly Partial[]): Promise<void> {
    const [largest] = [...partials].sort((a, b) => b.bytes - a.bytes);
    // A silent writer may still resume, so its file is copied, not taken.
    if (largest?.state === 'left') await rename(largest.path, this.path).catch(() => {});
    else if (largest !== undefined) await copyFile(largest.path, this.path).catch(() => {});
    await (await open(this.path, 'a')).close();
    const now = new Date();
    await utimes(this.path, now, now);
  }

  /** Leaves the file for the next attempt to resume. */
  async abandon(): Promise<void> {
    await rename(this.path, `${this.#target}${abandonedSuffix}`);
  }

  async discard(): Promise<void> {
    await rm(this.path, { force: true });
  }

  /** Renames the complete file to its target and removes what other attempts have left. */
  async complete(): Promise<void> {
    await rename(this.path, this.#target);
    await removeLeft(this.#target);
  }
}

const suffix = '.incomplete';
const abandonedSuffix = `.abandoned${suffix}`;
const pollMs = 200;
/** Nobody waits for a writer that has written nothing for this long. */
const silentAfterMs = 120_000;

interface Partial {
  readonly path: string;
  readonly bytes: number;
  /** `left`: its writer has ended. `silent`: its writer may have ended. */
  readonly state: 'written' | 'silent' | 'left';
}

async function removeLeft(target: string): Promise<void> {
  for (const { path, state } of await partialsOf(target)) {
    // A file that belongs to another user may stay.
    if (state === 'left') await rm(path, { force: true }).catch(() => {});
  }
}

/** The partial files that Weft wrote. Those of Python programs have no writer in their names. */
async function partialsOf(target: string): Promise<Partial[]> {
  const folder = path.dirname(target);
  const prefix = `${path.basename(target)}.`;
  const partials: Partial[] = [];
  for (const name of (await exists(folder)) ? await readdir(folder) : []) {
    if (!name.startsWith(prefix) || !name.endsWith(suffix)) continue;
    const file = path.join(folder, name);
    const writer = name.slice(prefix.length, -suffix.length);
    const state = writer === 'abandoned' ? 'dead' : writerState(writer);
    const stats = await stat(file).catch(() => undefined);
    if (state === undefined || stats === undefined) continue;
    const isSilent = Date.now() - stats.mtimeMs > silentAfterMs;
    partials.push({
      path: file,
      bytes: stats.size,
      state: state === 'dead' ? 'left' : isSilent ? 'silent' : 'written',
    });
  }
  return partials;
}
