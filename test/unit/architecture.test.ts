import { mkdir, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { cruise, type IConfiguration, type ICruiseResult } from 'dependency-cruiser';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../support/fixtures.ts';

const configuration: IConfiguration = createRequire(import.meta.url)('../../.dependency-cruiser.cjs');

/** The rules that a source file would break. */
async function rulesBrokenBy(file: string, content: string): Promise<string[]> {
  const folder = await temporaryFolder();
  await mkdir(path.dirname(path.join(folder, file)), { recursive: true });
  await writeFile(path.join(folder, file), content);
  const { output } = await cruise(['src'], {
    baseDir: folder,
    validate: true,
    ruleSet: { forbidden: configuration.forbidden ?? [] },
    tsPreCompilationDeps: true,
  });
  return (output as ICruiseResult).summary.violations.map(({ rule }) => rule.name);
}

test.each(['core', 'scheduler', 'sampling'])('%s may import neither a Node.js module nor a package', async (room) => {
  const rule = `${room}-is-pure`;
  for (const name of ['node:fs', 'node:fs/promises', 'crypto', 'fastify']) {
    expect(await rulesBrokenBy(`src/${room}/file.ts`, `import '${name}';`)).toContain(rule);
    expect(await rulesBrokenBy(`src/${room}/file.ts`, `import type { X } from '${name}';`)).toContain(rule);
  }
  expect(await rulesBrokenBy(`src/${room}/file.ts`, "import './file.ts';")).not.toContain(rule);
});
