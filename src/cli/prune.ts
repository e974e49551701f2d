import { readableSize, UserError } from '../core/index.ts';
import { findRemovable, inspectModel, type Removable, removeFromCache } from '../model/index.ts';
import { type ModelStore, randomModelsFolder, type StoredModel } from '../store/index.ts';

export interface PruneInput {
  readonly store: ModelStore;
  readonly cacheDir: string;
  readonly isDryRun: boolean;
}

/** Removes unused files from the cache and lists them. @throws {UserError} some files cannot be removed */
export async function prune({ store, cacheDir, isDryRun }: PruneInput): Promise<string> {
  const stored = await store.list();
  const found = await findRemovable({
    cacheDir,
    modelFolders: stored.map(({ folder }) => folder),
    buildFolders: [randomModelsFolder(cacheDir)],
  });
  const failures: string[] = [];
  const removed: Removable[] = [];
  for (const removable of found) {
    try {
      if (!isDryRun) await removeFromCache(removable);
      removed.push(removable);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      failures.push(error.message);
    }
  }
  const lines = [...describe(removed), summary(removed, isDryRun), ...(await randomModels(stored))];
  if (failures.length === 0) return lines.join('\n');
  process.stdout.write(`${lines.join('\n')}\n`);
  throw new UserError(failures.join('; '));
}

function describe(removed: readonly Removable[]): string[] {
  const large = removed.filter(({ kind }) => kind !== 'digest');
  const digests = removed.filter(({ kind }) => kind === 'digest');
  return [
    ...large.map(({ path, bytes, description }) => `${path}, ${readableSize(bytes)}: ${description}`),
    ...(digests.length > 0 ? [`digests of files that no longer exist: ${digests.length}`] : []),
  ];
}

function summary(removed: readonly Removable[], isDryRun: boolean): string {
  if (removed.length === 0) return 'there is nothing to remove';
  const size = readableSize(removed.reduce((sum, { bytes }) => sum + bytes, 0));
  return isDryRun ? `${size} would be freed` : `${size} freed`;
}

/** Names the random models: they are made on request, so they are only removed on request. */
async function randomModels(stored: readonly StoredModel[]): Promise<string[]> {
  const random = stored.filter(({ origin }) => origin === 'random');
  return Promise.all(
    random.map(async ({ name, folder }) => {
      const files = await inspectModel(folder).catch(() => undefined);
      const size = files?.weights.reduce((sum, { bytes }) => sum + bytes, 0);
      return `kept: ${name}${size === undefined ? '' : `, ${readableSize(size)}`}; weft models rm ${name} removes it`;
    }),
  );
}
