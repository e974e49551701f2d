import { copyFile, readdir, readlink, stat, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { configFiles } from '../../core/index.ts';
import { ensureFolder, readJsonFile, readSmallFile, replaceFile } from '../../files/index.ts';
import { isSupported } from '../../model/index.ts';

/** A ref holds a commit. */
const maxRefBytes = 1024;

/**
 * The cache that all of a user's Hugging Face programs share. Per repository it has `blobs/<checksum>`, `snapshots/<commit>/<file>` as
 * links to blobs, and `refs/<revision>` with the commit that the revision last resolved to.
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

  /** The commit that a revision last resolved to; undefined if it never did, or its snapshot is gone. */
  async commitOf(repo: string, revision: string): Promise<string | undefined> {
    const ref = path.join(this.repoFolder(repo), 'refs', ...revision.split('/'));
    const commit = await readSmallFile(ref, maxRefBytes).catch(() => revision);
    const isThere = await stat(this.snapshotFolder(repo, commit.trim())).catch(() => undefined);
    return isThere?.isDirectory() ? commit.trim() : undefined;
  }

  /** Records the commit that a revision resolves to. */
  async remember(repo: string, revision: string, commit: string): Promise<void> {
    if (revision === commit || (await this.commitOf(repo, revision)) === commit) return;
    const ref = path.join(this.repoFolder(repo), 'refs', ...revision.split('/'));
    await ensureFolder(path.dirname(ref));
    // The temporary file goes elsewhere: every file in `refs` counts as a revision.
    await replaceFile(ref, (temporary) => writeFile(temporary, commit), this.repoFolder(repo));
  }

  /** Links a blob into a snapshot. */
  async link(repo: string, commit: string, file: { readonly path: string; readonly checksum: string }): Promise<void> {
    const link = path.join(this.snapshotFolder(repo, commit), ...file.path.split('/'));
    const blob = this.blobPath(repo, file.checksum);
    const target = path.relative(path.dirname(link), blob);
    if ((await readlink(link).catch(() => undefined)) === target) return;
    await ensureFolder(path.dirname(link));
    const write = async (temporary: string) => {
      // On Windows, not every user may create links.
      await symlink(target, temporary).catch(() => copyFile(blob, temporary));
    };
    await replaceFile(link, write, this.repoFolder(repo));
  }

  /** The models with anything in the cache, and their revisions. A commit without a ref counts as a revision. */
  async repos(): Promise<{ readonly repo: string; readonly revisions: readonly string[] }[]> {
    const folders = (await readdir(this.#folder).catch(() => []))
      .filter((name) => /^models--[^-].*--/.test(name))
      .sort();
    return Promise.all(
      folders.map(async (name) => {
        const repo = name.slice('models--'.length).replace('--', '/');
        const revisions = await this.#revisions(repo);
        const known = await Promise.all(revisions.map((revision) => this.commitOf(repo, revision)));
        const commits = await readdir(path.join(this.repoFolder(repo), 'snapshots')).catch(() => []);
        return { repo, revisions: [...revisions, ...commits.filter((commit) => !known.includes(commit))] };
      }),
    );
  }

  /** Whether the cache holds something of that name that Weft cannot serve. */
  async holdsOther(repo: string): Promise<boolean> {
    const snapshots = path.join(this.repoFolder(repo), 'snapshots');
    for (const commit of await readdir(snapshots).catch(() => [])) {
      const config = await readJsonFile(path.join(snapshots, commit), configFiles.config).catch(() => undefined);
      if (config !== undefined && !isSupported(config)) return true;
    }
    return false;
  }

  async #revisions(repo: string): Promise<string[]> {
    const refs = path.join(this.repoFolder(repo), 'refs');
    const entries = await readdir(refs, { recursive: true, withFileTypes: true }).catch(() => []);
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => path.relative(refs, path.join(entry.parentPath, entry.name)).split(path.sep).join('/'))
      .sort();
  }
}
