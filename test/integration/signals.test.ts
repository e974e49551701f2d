import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Client } from '../support/client.ts';
import { temporaryFolder } from '../support/fixtures.ts';
import { Machine, published } from '../support/machine.ts';
import { until } from '../support/until.ts';
import { type Command, RunningProgram, type RunOptions, slowSteps, weft } from '../support/weft-process.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const story = { prompt: 'Once upon a time', max_new_tokens: 100, ignore_eos: true };
const onLinux = test.skipIf(process.platform !== 'linux');
const onPosix = test.skipIf(process.platform === 'win32');

interface Running {
  readonly program: RunningProgram;
  readonly client: Client;
  /** The process id of the server, which another program may have started. */
  readonly serverId: number;
}

/** A program that starts a slow server on a free port, in its own process group. */
async function start(command: Command, { environment, ...options }: RunOptions = {}): Promise<Running> {
  const program = new RunningProgram(command, {
    // So long that the deadline never cuts the stream, even on a slow machine.
    environment: {
      ...slowSteps,
      WEFT_PORT: '0',
      WEFT_LOG_FORMAT: 'json',
      WEFT_DRAIN_TIMEOUT_MS: '3600000',
      ...environment,
    },
    detached: true,
    ...options,
  });
  onTestFinished(() => killGroup(program.id, 'SIGKILL'));
  const [, url = ''] = await program.printed(/address\s+(http:\S+)\s/);
  const [, serverId] = await program.printed(/"pid":(\d+)/);
  return { program, client: new Client(url), serverId: Number(serverId) };
}

function killGroup(leader: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-leader, signal);
  } catch {
    // All of them have ended.
  }
}

/** Streams a story and sends a signal after the first token. @returns the number of tokens and the last event */
async function streamWhile(client: Client, interrupt: () => void): Promise<{ numTokens: number; last: string }> {
  const events: string[] = [];
  for await (const { event = '' } of client.stream(story)) {
    events.push(event);
    if (events.length === 1) interrupt();
  }
  return { numTokens: events.filter((event) => event === 'token').length, last: events.at(-1) ?? '' };
}

const whole = { numTokens: story.max_new_tokens, last: 'done' };

describe('SIGTERM to npm lets a stream finish and leaves neither a process nor an open port:', () => {
  const npmStart: Command = ['npm', 'start'];
  const npx: Command = ['npx', 'weft', 'serve'];
  onPosix.each([
    { name: 'npm start', command: npmStart, shell: 'sh' },
    { name: 'npm start in bash', command: npmStart, shell: 'bash' },
    { name: 'npx', command: npx, shell: 'sh' },
    { name: 'npx, with its whole process group', command: npx, shell: 'sh', toGroup: true },
  ])('$name', async ({ command, shell, toGroup = false }) => {
    // Without ignore-scripts, npx builds the project first.
    const npmSettings = { npm_config_cache: await temporaryFolder(), npm_config_ignore_scripts: 'true' };
    const { program, client } = await start(command, {
      folder: root,
      environment: { ...npmSettings, npm_config_script_shell: shell },
    });
    const streamed = await streamWhile(client, () => {
      if (toGroup) killGroup(program.id, 'SIGTERM');
      else program.kill('SIGTERM');
    });
    expect(streamed).toEqual(whole);
    // The output ends when the last process that holds it has ended.
    await program.ended;
    await expect(fetch(client.url)).rejects.toThrow('fetch failed');
  });
});

describe('SIGHUP', () => {
  onPosix('lets what was accepted finish, and ends the server with 0', async () => {
    const { program, client } = await start(weft('serve'));
    expect(await streamWhile(client, () => program.kill('SIGHUP'))).toEqual(whole);
    const { exitCode, stdout } = await program.ended;
    expect(stdout).toContain('SIGHUP: finishing 1 request,');
    expect(exitCode).toBe(0);
  });

  onPosix('is ignored under nohup', async () => {
    const { program, serverId } = await start(['bash', '-c', 'nohup "$@"; exit $?', 'bash', ...weft('serve')]);
    // If two signals are pending, the system delivers this one first.
    process.kill(serverId, 'SIGHUP');
    process.kill(serverId, 'SIGTERM');
    const { exitCode, stdout } = await program.ended;
    expect(exitCode).toBe(0);
    expect(stdout).toContain('SIGTERM: stopping');
    expect(stdout).not.toContain('SIGHUP');
  });

  onLinux('of a closing terminal lets what was accepted finish; then the server ends by it', async () => {
    const status = path.join(await temporaryFolder(), 'status');
    const [node, main, ...args] = weft('serve');
    // What a shell does with its jobs when its terminal closes.
    const inTerminal = `'${node}' '${main}' ${args.join(' ')} & trap 'kill -HUP $!' HUP; wait $!; wait $!; echo $? > '${status}'`;
    const { program, client } = await start(['script', '--quiet', '--flush', '--command', inTerminal, '/dev/null'], {
      environment: { SHELL: '/bin/sh' },
    });
    expect(await streamWhile(client, () => program.kill('SIGKILL'))).toEqual(whole);
    await until(async () => (await readFile(status, 'utf8').catch(() => '')) !== '');
    expect(await readFile(status, 'utf8')).toBe('129\n');
  });
});

onPosix('SIGTERM refuses chats that are not rendered yet, at once and with a reply', async () => {
  const { program, client } = await start(weft('serve'), { environment: { WEFT_DRAIN_TIMEOUT_MS: '1000' } });
  const loops = '{% for i in range(100000) %}'.repeat(2) + '{% endfor %}'.repeat(2);
  const chat = (stream: boolean) =>
    fetch(`${client.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ messages: [{ role: 'user', content: 'Hi' }], chat_template: loops, stream }),
    });
  const replies = [true, false, true, false, true, false].map(chat);
  // Their connections are older than that of the stream, so they have arrived before its first token.
  await streamWhile(client, () => program.kill('SIGTERM'));
  const statuses = (await Promise.all(replies)).map(({ status }) => status);
  // On a slow machine, some have already taken too long before the signal.
  expect(statuses).toContain(503);
  expect(statuses.filter((status) => status !== 400 && status !== 503)).toEqual([]);
  expect((await program.ended).exitCode).toBe(0);
});

describe('before the server accepts requests', () => {
  onPosix.each([
    ['SIGHUP', 129],
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s ends the process at once with %i', async (signal, exitCode) => {
    const machine = await Machine.create();
    machine.hub.publish('a/b', await published());
    machine.hub.trouble('pytorch_model.bin', { stallAfter: 1000 });
    const server = machine.start(['serve', 'a/b', '--port', '0']);
    await machine.hub.requested(/cdn.*pytorch_model/);
    server.kill(signal);
    const ended = await server.ended;
    expect(ended).toMatchObject({ exitCode, stdout: '' });
    expect(ended.stderr).not.toMatch(/^ +at /m);
  });
});

onPosix('SIGTERM between the two addresses of localhost ends the server with 0', async () => {
  // The first lookup is for the first address; the second one, for all addresses, never ends.
  const halfway = `import dns from 'node:dns';
    const { lookup } = dns;
    let numLookups = 0;
    dns.lookup = (...args) => ++numLookups === 1 && lookup.apply(dns, args);`;
  const server = new RunningProgram(weft('serve', '--port', '0', '--host', 'localhost'), {
    environment: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(halfway)}` },
  });
  onTestFinished(() => server.kill('SIGKILL'));
  await server.printed(/Server listening/);
  server.kill('SIGTERM');
  const { exitCode, stdout } = await server.ended;
  expect(exitCode).toBe(0);
  expect(stdout).toContain('SIGTERM: stopping');
});
