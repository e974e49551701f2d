import { randomUUID } from 'node:crypto';
import { copyFile, mkdir, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';

/**
 * The cache that all Hugging Face programs of a user share: per repository `blobs/<checksum>`, `snapshots/<commit>/<file>` as links to
 * blobs, and `refs/<revision>` with the commit that the revision was when it was last asked for.
 * Layout: https://huggingface.co/docs/huggingface_hub/guides/manage-cache
 */
export class HubCache {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  repoFolder(repo: string): string {
    return path.join(this.#folder, ['models', ...repo.split('/')].join('--'));
  }

  blobPath(repo: string, checksum: string): string {
    return path.join(this.repoFolder(repo), 'blobs', checksum);
  }

  snapshotFolder(repo: string, commit: string): string {
    return path.join(this.repoFolder(repo), 'snapshots', commit);
  }

  /** The commit of a revision that was asked for before; undefined if it never was. */
  async commitOf(repo: string, revision: string): Promise<string | undefined> {
    const ref = path.join(this.repoFolder(repo), 'refs', ...revision.split('/'));
    const commit = await readFile(ref, 'utf8').catch(() => revision);
    const isThere = await stat(this.snapshotFolder(repo, commit.trim())).catch(() => undefined);
    return isThere?.isDirectory() ? commit.trim() : undefined;
  }

  /** Remembers which commit a revision is. */
  async remember(repo: string, revision: string, commit: string): Promise<void> {
    if (revision === commit) return;
    const ref = path.join(this.repoFolder(repo), 'refs', ...revision.split('/'));
    await mkdir(path.dirname(ref), { recursive: true });
    await replace(ref, (temporary) => writeFile(temporary, commit));
  }

  /** Makes a blob appear in a snapshot. */
  async link(repo: string, commit: string, file: { readonly path: string; readonly checksum: string }): Promise<void> {
    const link = path.join(this.snapshotFolder(repo, commit), ...file.path.split('/'));
    const blob = this.blobPath(repo, file.checksum);
    await mkdir(path.dirname(link), { recursive: true });
    await replace(link, async (temporary) => {
      // Windows allows links only to some users.
      await symlink(path.relative(path.dirname(link), blob), temporary).catch(() => copyFile(blob, temporary));
    });
  }

  /** The models of which something is here, with their revisions. */
  async repos(): Promise<{ readonly repo: string; readonly revisions: readonly string[] }[]> {
    const folders = (await readdir(this.#folder).catch(() => [])).filter((name) => name.startsWith('models--')).sort();
    return Promise.all(
      folders.map(async (name) => {
        const refs = path.join(this.#folder, name, 'refs');
        const entries = await readdir(refs, { recursive: true, withFileTypes: true }).catch(() => []);
        const revisions = entries
          .filter((entry) => entry.isFile())
          .map((entry) => path.relative(refs, path.join(entry.parentPath, entry.name)).split(path.sep).join('/'));
        return { repo: name.slice('models--'.length).replaceAll('--', '/'), revisions: revisions.sort() };
      }),
    );
  }
}

/** Writes a file so that others see it whole: the old one, or the new one. */
async function replace(file: string, write: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = `${file}.${randomUUID()}`;
  try {
    await write(temporary);
    await rename(temporary, file);
  } finally {
    await rm(temporary, { force: true });
  }
}
