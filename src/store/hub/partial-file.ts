import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';

/**
 * A file that is being downloaded, under a name that says who is writing it: `<file>.<host>-<process>-<id>.incomplete`.
 * Who finds one whose writer is gone takes it over by renaming it, which only one can do; who finds one that is being written waits.
 */
export class PartialFile {
  readonly #target: string;
  readonly path: string;

  private constructor(target: string, path: string) {
    this.#target = target;
    this.path = path;
  }

  /** @returns undefined if the target is there, or came to be while somebody else was writing it */
  static async claim(target: string): Promise<PartialFile | undefined> {
    await mkdir(path.dirname(target), { recursive: true });
    for (;;) {
      if (await exists(target)) return undefined;
      const others = await partialsOf(target);
      if (others.some(({ isBeingWritten }) => isBeingWritten)) {
        await setTimeout(pollMs);
        continue;
      }
      const own = new PartialFile(target, `${target}.${owner}-${randomUUID().slice(0, 8)}${suffix}`);
      if (await own.#take(others.map((other) => other.path))) return own;
    }
  }

  /** Takes over the first that nobody else takes, or begins anew. @returns false if somebody began at the same moment and goes first */
  async #take(abandoned: readonly string[]): Promise<boolean> {
    for (const candidate of abandoned) {
      try {
        await rename(candidate, this.path);
        return true;
      } catch {}
    }
    await (await open(this.path, 'wx')).close();
    const rivals = (await partialsOf(this.#target)).filter(({ isBeingWritten }) => isBeingWritten);
    if (rivals.every((rival) => this.path <= rival.path)) return true;
    await this.discard();
    return false;
  }

  /** Keeps what is there for whoever tries next. */
  async abandon(): Promise<void> {
    await rename(this.path, `${this.#target}.abandoned${suffix}`);
  }

  async discard(): Promise<void> {
    await rm(this.path, { force: true });
  }

  /** The file is whole: gives it its name. */
  async complete(): Promise<void> {
    await rename(this.path, this.#target);
  }
}

const suffix = '.incomplete';
const pollMs = 200;
/** A writer that has written nothing for so long is taken for dead, whatever its process number says. */
const silentAfterMs = 120_000;
const host = hostname().replace(/[^\w]/g, '_');
const owner = `${host}-${process.pid}`;

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}

async function partialsOf(target: string) {
  const folder = path.dirname(target);
  const prefix = `${path.basename(target)}.`;
  const partials = [];
  for (const name of await readdir(folder)) {
    if (!name.startsWith(prefix) || !name.endsWith(suffix)) continue;
    const partial = path.join(folder, name);
    partials.push({ path: partial, isBeingWritten: await isBeingWritten(partial, name.slice(prefix.length)) });
  }
  return partials;
}

async function isBeingWritten(partial: string, writer: string): Promise<boolean> {
  const [writerHost, writerProcess] = writer.split('-');
  if (writerProcess === undefined || (writerHost === host && !isAlive(Number(writerProcess)))) return false;
  const stats = await stat(partial).catch(() => undefined);
  return stats !== undefined && Date.now() - stats.mtimeMs < silentAfterMs;
}

function isAlive(processId: number): boolean {
  try {
    return process.kill(processId, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
