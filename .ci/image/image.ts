/**
 * Runs the steps of the Dockerfile's CPU image without Docker, then the image itself: as an unprivileged user, on a read-only root.
 *
 *     node --import tsx .ci/image/image.ts
 *
 * The build context is what git has committed and .dockerignore admits. This machine's own files replace the base image, so Node must be
 * installed where every user can read it. Needs Linux, and root for private mounts.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from '../../bench/race/server-process.ts';
import { build } from './build.ts';
import { type Command, nobody, type Stage, shell } from './stage.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const healthTimeoutMs = 60_000;
const stopTimeoutMs = 20_000;
const scratch = process.env.WEFT_IMAGE_SCRATCH;
if (scratch === undefined) await inOwnMounts();
else await buildAndTry(scratch);

/** Restarts this program in a namespace of its own: its mounts are private and disappear with it. */
async function inOwnMounts(): Promise<void> {
  if (process.getuid?.() !== 0) throw new Error('building the image needs root, for mounts');
  const folder = mkdtempSync(path.join(tmpdir(), 'weft-image-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }));
  // When the first process of the namespace ends, all of them end.
  const namespaces = ['--mount', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const args = [...namespaces, process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  const child = spawn('unshare', args, { env: { ...process.env, WEFT_IMAGE_SCRATCH: folder }, stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill('SIGKILL'));
  const [code] = await once(child, 'exit');
  process.exitCode = code ?? 1;
}

async function buildAndTry(folder: string): Promise<void> {
  const context = path.join(folder, 'context');
  mkdirSync(context);
  const [first, ...rest] = committed('.dockerignore')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  const isAllowList = first === '*' && rest.every((line) => line.startsWith('!'));
  if (!isAllowList) throw new Error('.dockerignore must be * followed by exceptions; nothing else is supported here');
  const named = rest.map((line) => line.slice(1));
  shell(`git -C ${root} archive HEAD ${named.join(' ')} | tar -x -C ${context}`);
  const image = build(committed('Dockerfile'), { wanted: ['build', 'cpu'], context, folder }, note);
  note(`${mebibytes(image.layer)} MiB on top of the base image`);
  if (/^(root|0)?(:|$)/.test(image.user)) throw new Error('the image runs as root');
  if (!succeeds(image.command(['test', '-w', 'cache'])))
    throw new Error('the user of the image cannot write to the cache');
  if (succeeds(image.command(['test', '-w', 'dist/cli/main.js'])))
    throw new Error('the user of the image can change the program');
  image.freeze();
  await tryOut(image);
}

function committed(file: string): string {
  return execFileSync('git', ['-C', root, 'show', `HEAD:${file}`], { encoding: 'utf8' });
}

/** Does what `docker run --read-only` does, then runs the health check and sends a request. */
async function tryOut(image: Stage): Promise<void> {
  const port = await freePort();
  // A flag, as after `docker run weft`: the health check must find it.
  const [program, args] = image.command([...image.entrypoint, '--port', String(port)]);
  const server = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit'] });
  const ended = once(server, 'exit');
  try {
    const deadline = performance.now() + healthTimeoutMs;
    while (!succeeds(image.command(image.healthcheck))) {
      if (server.exitCode !== null) throw new Error(`the server exited at once with ${server.exitCode}`);
      if (performance.now() > deadline) throw new Error('the health check fails');
      await setTimeout(200);
    }
    if (succeeds(image.command(['touch', '/app/cache/x']))) throw new Error('the root of the image is not read-only');
    note(`health check and /generate succeed as user ${nobody} on a read-only root: ${await story(port)}`);
  } finally {
    server.kill('SIGTERM');
  }
  const stopTimeout = setTimeout(stopTimeoutMs, ['nothing'], { ref: false });
  const [code] = await Promise.race([ended, stopTimeout]);
  if (code !== 0) throw new Error(`after SIGTERM the server exited with ${code}`);
}

async function story(port: number): Promise<string> {
  const body = JSON.stringify({ prompt: 'Once upon a time', max_new_tokens: 8, temperature: 0 });
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(`http://127.0.0.1:${port}/generate`, { method: 'POST', headers, body });
  const text = await response.text();
  if (!response.ok) throw new Error(`/generate answers ${response.status}: ${text}`);
  return JSON.parse(text).text;
}

function succeeds([program, args]: Command): boolean {
  try {
    execFileSync(program, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

function mebibytes(folder: string): number {
  return Number(/^\d+/.exec(execFileSync('du', ['-sm', folder], { encoding: 'utf8' }))?.[0]);
}

function note(line: string): void {
  process.stdout.write(`image: ${line}\n`);
}
