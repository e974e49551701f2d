import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { freePort } from '../../bench/race/server-process.ts';
import { Client } from '../support/client.ts';
import { until } from '../support/until.ts';
import { type Command, RunningProgram, slowSteps, weft } from '../support/weft-process.ts';

const onPosix = test.skipIf(process.platform === 'win32');
const onLinux = test.skipIf(process.platform !== 'linux');

/** A command line with which a shell runs a preparation and then replaces itself with the command. */
function inShell(preparation: string, command: Command): Command {
  return ['sh', '-c', `${preparation} && exec "$@"`, 'sh', ...command];
}

describe('a shortage is reported in one line that says which limit to raise', () => {
  async function failure(limit: string, ...args: string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await new RunningProgram(inShell(limit, weft(...args))).ended;
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toMatch(/^weft: [^\n]+\n$/);
    return stderr;
  }

  onPosix('open files', async () => {
    expect(await failure('ulimit -n 24', 'serve')).toMatch(/open.*ulimit -n/);
  });

  // Newer versions of Node.js read one module at a time and need fewer files.
  test.runIf(/^v20\./.test(process.version) && process.platform !== 'win32').each([
    { openFiles: 64, args: ['serve'] },
    { openFiles: 24, args: ['models', 'list'] },
  ])('$openFiles open files to load the modules of weft $args', async ({ openFiles, args }) => {
    expect(await failure(`ulimit -n ${openFiles}`, ...args)).toContain(
      `too many files are open; raise ulimit -n (now ${openFiles}): EMFILE`,
    );
  });

  onLinux('address space', async () => {
    expect(await failure('ulimit -v 4000000', 'serve')).toMatch(
      /raise ulimit -v \(now 4000000\)|no room for a KV cache/,
    );
  });
});

describe('a server', () => {
  onPosix('accepts as many connections as open files allow, logs the refused ones and keeps running', async () => {
    const server = new RunningProgram(inShell('ulimit -n 160', weft('serve', '--port', '0')), {
      environment: slowSteps,
    });
    onTestFinished(() => server.kill('SIGKILL'));
    const [, url = ''] = await server.printed(/address\s+(http:\S+)\n/);
    await server.printed(/--max-connections is 2048, but the limit of open files \(ulimit -n\) only allows \d+/);
    const client = new Client(url);
    const { hostname, port } = new URL(url);
    const sockets: Socket[] = [];
    let numTokens = 0;
    for await (const { event } of client.stream({ prompt: 'Once', max_new_tokens: 100, ignore_eos: true })) {
      if (event === 'token') numTokens++;
      if (numTokens !== 1 || sockets.length > 0) continue;
      sockets.push(...Array.from({ length: 160 }, () => connect(Number(port), hostname).on('error', () => {})));
      await server.printed(/\d+ connections were refused: the limit is \d+/);
    }
    expect(numTokens).toBe(100);
    await Promise.all(
      sockets.map(async (socket) => {
        socket.destroy();
        if (!socket.closed) await once(socket, 'close');
      }),
    );
    await until(async () => (await fetch(`${url}/livez`).catch(() => undefined))?.ok === true);
    server.kill('SIGTERM');
    expect((await server.ended).exitCode).toBe(0);
  });

  onLinux('keeps running when the disk of its log is full', async () => {
    const port = await freePort();
    const server = new RunningProgram(inShell('exec >/dev/full 2>/dev/full', weft('serve', '--port', String(port))));
    onTestFinished(() => server.kill('SIGKILL'));
    const client = new Client(`http://127.0.0.1:${port}`);
    await until(async () => (await fetch(`${client.url}/readyz`).catch(() => undefined))?.ok === true);
    expect((await client.generate({ prompt: 'Once', max_new_tokens: 2 })).token_ids).toHaveLength(2);
    server.kill('SIGTERM');
    expect((await server.ended).exitCode).toBe(0);
  });
});
