/**
 * Checks the package as users get it: packs it, installs the tarball into an empty folder, and uses it from there.
 *
 *     node --import tsx .ci/package/package.ts
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const maxPackedBytes = 7_000_000;
const maxUnpackedBytes = 9_000_000;
const timeoutMs = 60_000;
const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));

interface Packed {
  readonly filename: string;
  readonly size: number;
  readonly unpackedSize: number;
  readonly files: readonly { readonly path: string }[];
}

const folder = mkdtempSync(path.join(tmpdir(), 'weft-package-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
const tarball = pack();
install(tarball);
expectEqual(run('npx', ['weft', '--version']).trim(), manifest.version, 'npx weft --version');
await serve();
useLibrary();

function pack(): string {
  const [packed] = JSON.parse(run('npm', ['pack', '--json', '--pack-destination', folder], root)) as readonly Packed[];
  if (packed === undefined) throw new Error('npm pack made nothing');
  const files = packed.files.map(({ path: file }) => file);
  const entries = [...new Set(files.map((file) => file.replace(/\/.*/, '')))].sort();
  expectEqual(entries.join(' '), 'LICENSE README.md dist docs models package.json', 'the entries of the tarball');
  const unwanted = files.filter((file) => /\.map$|(?<!\.d)\.ts$|^dist\/cli\/.*\.d\.ts$|\btest\b/.test(file));
  expectEqual(unwanted.join(' '), '', 'files that users do not need');
  if (packed.size > maxPackedBytes) throw new Error(`the tarball has ${packed.size} bytes`);
  if (packed.unpackedSize > maxUnpackedBytes) throw new Error(`the package has ${packed.unpackedSize} bytes`);
  note(`${packed.filename}: ${files.length} files, ${packed.size} bytes, unpacked ${packed.unpackedSize}`);
  return path.join(folder, packed.filename);
}

function install(file: string): void {
  writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  // As docs/library.md recommends: no dependency needs its install script.
  run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', file]);
  const unwanted = Object.keys(manifest.devDependencies).filter((name) =>
    existsSync(path.join(folder, 'node_modules', name)),
  );
  const needed = Object.keys(manifest.dependencies);
  expectEqual(unwanted.filter((name) => !needed.includes(name)).join(' '), '', 'development dependencies');
  note(`${readdirSync(path.join(folder, 'node_modules')).length} entries in node_modules`);
}

async function serve(): Promise<void> {
  const server = spawn('npx', ['weft', 'serve', '--port', '0'], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const url = await addressIn(server.stdout);
    const response = await fetch(`${url}/generate`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ prompt: 'Once upon a time', max_new_tokens: 20 }),
    });
    expectEqual(response.status, 200, 'the status of POST /generate');
    note(((await response.json()) as { readonly text: string }).text);
    server.kill('SIGTERM');
    await within(stopped(url), 'npx weft serve does not stop');
  } finally {
    server.kill('SIGKILL');
  }
}

async function addressIn(output: NodeJS.ReadableStream): Promise<string> {
  let text = '';
  for (;;) {
    const address = /^ +address +(http:\S+)$/m.exec(text)?.[1];
    if (address !== undefined) return address;
    const [chunk] = await within(once(output, 'data'), 'npx weft serve does not start');
    text += chunk;
  }
}

/** npx ends before the server that it started. */
async function stopped(url: string): Promise<void> {
  while (await fetch(`${url}/livez`).catch(() => undefined)) await setTimeout(100);
}

/** Runs the examples of the documentation, and compiles them as TypeScript. */
function useLibrary(): void {
  const docs = readFileSync(path.join(root, 'docs', 'library.md'), 'utf8');
  const examples = [...docs.matchAll(/^```js (\w+)\n(.*?)^```/gms)].map(([, name = '', code = '']) => ({
    name,
    code,
  }));
  expectEqual(examples.map(({ name }) => name).join(' '), 'generate choices fastify', 'the examples');
  for (const { name, code } of examples) writeFileSync(path.join(folder, `${name}.ts`), code);
  const typeRoots = path.join(root, 'node_modules', '@types');
  const flags = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2023'];
  const types = ['--skipLibCheck', 'false', '--typeRoots', typeRoots, '--types', 'node'];
  run(process.execPath, [
    path.join(root, 'node_modules', '.bin', 'tsc'),
    ...flags,
    ...types,
    ...examples.map(({ name }) => `${name}.ts`),
  ]);
  const [generate] = examples;
  note(run(process.execPath, ['--input-type=module', '--eval', generate?.code ?? '']));
}

async function within<T>(promise: Promise<T>, problem: string): Promise<T> {
  const timeout = setTimeout(timeoutMs, undefined, { ref: false }).then(() => {
    throw new Error(problem);
  });
  return Promise.race([promise, timeout]);
}

function run(program: string, args: readonly string[], cwd = folder): string {
  return execFileSync(program, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
}

function expectEqual<T>(actual: T, expected: T, what: string): void {
  if (actual !== expected) throw new Error(`${what}: ${actual}, expected ${expected}`);
}

function note(text: string): void {
  process.stdout.write(`package: ${text}\n`);
}
