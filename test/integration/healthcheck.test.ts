import { cp, mkdir, symlink } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { freePort } from '../../bench/race/server-process.ts';
import { temporaryFolder } from '../support/fixtures.ts';
import { type Ended, RunningProgram, type RunOptions } from '../support/weft-process.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** A separate installation, whose health check does not see the servers of other tests. */
class Installation {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async create(): Promise<Installation> {
    const folder = path.join(await temporaryFolder(), 'app');
    await mkdir(folder);
    for (const part of ['dist', 'package.json'])
      await cp(path.join(root, part), path.join(folder, part), { recursive: true });
    for (const part of ['node_modules', 'models']) await symlink(path.join(root, part), path.join(folder, part));
    return new Installation(folder);
  }

  /** Starts a server, or another command. */
  async serve(args: readonly string[], options: RunOptions = {}): Promise<RunningProgram> {
    const server = this.run(['dist/cli/main.js', 'serve', ...args], options);
    await server.printed(/address\s+http/);
    return server;
  }

  async check(args: readonly string[] = [], environment: Readonly<Record<string, string>> = {}): Promise<Ended> {
    return this.run(['dist/cli/healthcheck.js', ...args], { environment }).ended;
  }

  run(args: readonly string[], options: RunOptions = {}): RunningProgram {
    const program = new RunningProgram([process.execPath, ...args], { folder: this.#folder, ...options });
    onTestFinished(() => program.kill('SIGKILL'));
    return program;
  }
}

const healthy = { exitCode: 0, stdout: '', stderr: '' };

describe.skipIf(process.platform !== 'linux')('the health check finds the server', () => {
  test('by its flags, which take precedence over environment variables', async () => {
    const installation = await Installation.create();
    const port = String(await freePort());
    const variables = { WEFT_PORT: '1', WEFT_HOST: '203.0.113.1' };
    const server = await installation.serve(['--port', port, '--host=0.0.0.0'], { environment: variables });
    expect(await installation.check([], variables)).toEqual(healthy);
    server.kill('SIGTERM');
    await server.ended;
    const { exitCode, stderr } = await installation.check([], { WEFT_PORT: port });
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(new RegExp(`^weft: http://127.0.0.1:${port}/readyz cannot be reached: [^\n]*\n$`));
  });

  test('by its own variables', async () => {
    const installation = await Installation.create();
    await installation.serve([], { environment: { WEFT_PORT: String(await freePort()) } });
    expect(await installation.check([], { WEFT_PORT: '1' })).toEqual(healthy);
  });

  test('that was started first, not one of `weft bench capacity`', async () => {
    const installation = await Installation.create();
    await installation.serve(['--port', String(await freePort())]);
    await installation.serve(['--port', '0', '--host', '127.0.0.1']);
    expect(await installation.check()).toEqual(healthy);
  });

  test('but not one on a port that was picked at random', async () => {
    const installation = await Installation.create();
    await installation.serve(['--port', '0']);
    expect(await installation.check()).toMatchObject({
      exitCode: 1,
      stderr: 'weft: the server picks its own port; set one with --port\n',
    });
  });
});

test('flags of the health check choose the server', async () => {
  const installation = await Installation.create();
  const port = String(await freePort());
  await installation.serve(['--port', port]);
  expect(await installation.check(['--port', port])).toEqual(healthy);
  expect((await installation.check(['--port', String(await freePort())])).exitCode).toBe(1);
});

test('the health check reports a wrong flag on one line', async () => {
  const installation = await Installation.create();
  expect(await installation.check(['--port', 'x'])).toMatchObject({
    exitCode: 1,
    stderr: expect.stringMatching(/^weft: --port is "x"; [^\n]*\n$/),
  });
});
