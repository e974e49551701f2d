import { copyFile, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { ensureFolder, exists, writerName, writerState } from '../../files/index.ts';

/**
 * A file that is being downloaded, under a name that says who is writing it: `<file>.<writer>.incomplete`.
 * A process writes only files of its own name: it waits while another is writing the same, and goes on from what one that is gone has left.
 */
export class PartialFile {
  readonly #target: string;
  readonly path: string;

  private constructor(target: string) {
    this.#target = target;
    this.path = `${target}.${writerName()}${suffix}`;
  }

  /** @returns undefined if the target is whole, or came to be while somebody else was writing it */
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
      // Of several that begin at the same moment one goes first; should two, each has a file of its own.
      if (rivals.every((rival) => own.path < rival.path)) return own;
      await own.abandon();
    }
  }

  /** How much of the target earlier attempts have left. */
  static async bytesOf(target: string): Promise<number> {
    return Math.max(0, ...(await partialsOf(target)).map(({ bytes }) => bytes));
  }

  async #begin(partials: readonly Partial[]): Promise<void> {
    const [largest] = [...partials].sort((a, b) => b.bytes - a.bytes);
    // Who is silent may still wake up: it keeps its file.
    if (largest?.state === 'left') await rename(largest.path, this.path).catch(() => {});
    else if (largest !== undefined) await copyFile(largest.path, this.path).catch(() => {});
    await (await open(this.path, 'a')).close();
    const now = new Date();
    await utimes(this.path, now, now);
  }

  /** Keeps what is there for whoever tries next. */
  async abandon(): Promise<void> {
    await rename(this.path, `${this.#target}${abandonedSuffix}`);
  }

  async discard(): Promise<void> {
    await rm(this.path, { force: true });
  }

  /** The file is whole: gives it its name, and clears away what others have left of it. */
  async complete(): Promise<void> {
    await rename(this.path, this.#target);
    await removeLeft(this.#target);
  }
}

const suffix = '.incomplete';
const abandonedSuffix = `.abandoned${suffix}`;
const pollMs = 200;
/** A writer that has written nothing for so long is not waited for. */
const silentAfterMs = 120_000;

interface Partial {
  readonly path: string;
  readonly bytes: number;
  /** `left` by a writer that is gone; a `silent` one may be. */
  readonly state: 'written' | 'silent' | 'left';
}

async function removeLeft(target: string): Promise<void> {
  for (const { path, state } of await partialsOf(target)) {
    // Somebody else's may stay.
    if (state === 'left') await rm(path, { force: true }).catch(() => {});
  }
}

/** Files of other programs are not among them: Python's have no writer in their name. */
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
