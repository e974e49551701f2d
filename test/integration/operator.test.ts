import { once } from 'node:events';
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Client } from '../support/client.ts';
import { copyOf, patchJson, reference, temporaryFolder } from '../support/fixtures.ts';
import { hangingStep, ServerProcess, slowSteps, stuckTokenizer, WeftProcess } from '../support/weft-process.ts';

const long = { prompt: 'Once upon a time', max_new_tokens: 400, ignore_eos: true };

/** Long enough that a busy machine does not reach the deadline. */
const patient = ['--drain-timeout-ms', '3600000'];

interface Running {
  readonly server: ServerProcess;
  readonly client: Client;
}

async function start(...args: string[]): Promise<Running> {
  return startIn({}, args);
}

async function startSlow(...args: string[]): Promise<Running> {
  return startIn(slowSteps, args);
}

async function startIn(environment: Readonly<Record<string, string>>, args: readonly string[]): Promise<Running> {
  // So long that the deadline never cuts a story, unless a test sets another.
  const server = new ServerProcess(args, { WEFT_DRAIN_TIMEOUT_MS: '3600000', ...environment });
  onTestFinished(() => server.kill('SIGKILL'));
  return { server, client: new Client(await server.url) };
}

describe('SIGTERM', () => {
  test('finishes accepted requests, refuses new ones, and exits with 0', async () => {
    const { server, client } = await startSlow('--max-batch-size', '1', ...patient);
    const running = client.generateStreamed(long);
    await client.until((health) => health.running === 1);
    const waiting = client.generate(long);
    await client.until((health) => health.waiting === 1);
    server.kill('SIGTERM');
    await server.printed(/SIGTERM: finishing \d requests?/);
    const refused = await client.post(long);
    expect(refused.status).toBe(503);
    expect(await refused.json()).toMatchObject({ error: { code: 'unavailable' } });
    expect((await fetch(`${client.url}/readyz`)).status).toBe(503);
    expect((await fetch(`${client.url}/livez`)).status).toBe(200);
    expect((await running).token_ids).toHaveLength(400);
    expect((await waiting).token_ids).toHaveLength(400);
    expect((await server.ended).exitCode).toBe(0);
  });

  test('ends requests with an error event at the deadline, and exits with 0', async () => {
    const { server, client } = await startSlow('--drain-timeout-ms', '0');
    const events = [];
    for await (const event of client.stream(long)) {
      events.push(event);
      if (events.length === 3) server.kill('SIGTERM');
    }
    expect(events.at(-1)).toMatchObject({ event: 'error', data: expect.stringContaining('"code":"unavailable"') });
    expect((await server.ended).exitCode).toBe(0);
  });

  test('ends requests with an error event if a step hangs, and exits with 1', async () => {
    const { server, client } = await startIn(hangingStep, ['--drain-timeout-ms', '0']);
    const events = [];
    for await (const event of client.stream(long)) {
      events.push(event);
      if (events.length === 9) server.kill('SIGTERM');
    }
    expect(events.at(-1)).toMatchObject({ event: 'error', data: expect.stringContaining('"code":"unavailable"') });
    const { exitCode, stdout } = await server.ended;
    expect(exitCode).toBe(1);
    expect(stdout).toContain('the step in flight does not end');
  });

  test.each([0, 200, 2000])(
    'while prompts are being tokenized answers all of them, with a drain timeout of %i ms',
    async (drainTimeoutMs) => {
      const args = ['--drain-timeout-ms', `${drainTimeoutMs}`];
      const { server, client } = await startIn(stuckTokenizer, args);
      const replies = Array.from({ length: 100 }, () => client.post({ prompt: 'word '.repeat(450) }));
      await client.until(({ waiting }) => waiting === replies.length);
      server.kill('SIGTERM');
      const statuses = (await Promise.all(replies)).map(({ status }) => status);
      expect(statuses).toEqual(replies.map(() => 503));
      expect((await server.ended).exitCode).toBe(0);
    },
  );

  test('does not wait for connections without a complete request', async () => {
    const { server, client } = await start();
    const { hostname, port } = new URL(client.url);
    const idle = connect(Number(port), hostname);
    const half = connect(Number(port), hostname);
    await Promise.all([once(idle, 'connect'), once(half, 'connect')]);
    half.write(
      'POST /generate HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"prompt"',
    );
    expect((await client.generate({ prompt: 'x', max_new_tokens: 1 })).token_ids).toHaveLength(1);
    const closed = Promise.all([once(idle, 'close'), once(half, 'close')]);
    idle.resume();
    half.resume();
    expect((await server.stop()).exitCode).toBe(0);
    await closed;
  });

  test('or SIGINT that arrives twice at once, as from npm, still finishes accepted requests', async () => {
    const { server, client } = await startSlow('--max-batch-size', '1', ...patient);
    const running = [client.generate(long), client.generate(long)];
    await client.until((health) => health.running === 1 && health.waiting === 1);
    server.kill('SIGINT');
    await server.printed(/SIGINT: finishing \d requests?/);
    server.kill('SIGINT');
    for (const reply of await Promise.all(running)) expect(reply.token_ids).toHaveLength(400);
    expect((await server.ended).exitCode).toBe(0);
  });

  test('ends a server that is warming up', async () => {
    const server = new WeftProcess(['serve', '--port', '0']);
    onTestFinished(() => server.kill('SIGKILL'));
    await server.printed(/Server listening/);
    server.kill('SIGTERM');
    expect((await server.ended).exitCode).toBe(0);
  });

  test('ends an idle server at once, and closes its connections', async () => {
    const { server, client } = await start();
    await client.health();
    expect((await server.stop()).exitCode).toBe(0);
  });
});

test.each([
  ['', false],
  [' while the server is being stopped', true],
])(
  'a defect%s ends open requests with an error event, is logged, and the process exits with 1',
  async (_, isStopped) => {
    const scheduler = new URL('../../dist/scheduler/index.js', import.meta.url);
    const breaking = `import { Scheduler } from '${scheduler}';
    const { schedule } = Scheduler.prototype;
    Scheduler.prototype.schedule = function (now) {
      const step = schedule.call(this, now);
      if (step?.rows[0].sample.tokenIndex === 5) throw new Error('a defect was made up');
      return step;
    };`;
    const { server, client } = await startIn(
      { NODE_OPTIONS: `${slowSteps.NODE_OPTIONS} --import=data:text/javascript,${encodeURIComponent(breaking)}` },
      [],
    );
    const events = [];
    for await (const event of client.stream(long)) {
      events.push(event);
      if (isStopped && events.length === 2) server.kill('SIGTERM');
    }
    expect(events.map(({ event }) => event)).toEqual([...Array(5).fill('token'), 'error']);
    expect(events.at(-1)?.data).toContain('"code":"internal_error"');
    const { exitCode, stdout } = await server.ended;
    expect(exitCode).toBe(1);
    expect(stdout).toContain('a defect was made up');
  },
);

test.runIf(process.platform === 'linux')('a server loads one ONNX Runtime', async () => {
  const { server } = await start();
  const maps = await readFile(`/proc/${server.id}/maps`, 'utf8');
  const libraries = new Set(maps.match(/\S*onnxruntime\S*\.(so|node)\S*/g));
  expect([...libraries].map((file) => path.basename(file))).toEqual([expect.stringMatching(/^libonnxruntime\.so/)]);
});

test('a full queue gives 429 with the time to retry', async () => {
  const { client } = await startSlow('--max-batch-size', '1', '--max-queue-size', '1');
  const running = client.generate(long);
  await client.until((health) => health.running === 1);
  const waiting = client.generate({ ...long, max_new_tokens: 1 });
  await client.until((health) => health.waiting === 1);
  const refused = await client.post(long);
  expect(refused.status).toBe(429);
  expect(refused.headers.get('retry-after')).toBe('1');
  expect(await refused.json()).toMatchObject({ error: { code: 'queue_full', type: 'rate_limit_error' } });
  expect([(await running).token_ids.length, (await waiting).token_ids.length]).toEqual([400, 1]);
});

test('the banner describes the server, and its curl command works', async () => {
  const { server } = await start();
  await server.printed(/curl -N http:\/\/127\.0\.0\.1:\d+\/generate -H 'content-type: application\/json' -d '\{.*\}'/);
  expect(server.stdout).toMatch(/opt-stories: OPT, 3\.4 million parameters/);
  expect(server.stdout).toMatch(/KV cache +up to 225 MiB/);
});

test('a folder without a tokenizer serves token ids with empty text', async () => {
  const { client } = await start(await copyOf(reference('opt-mini'), ['config.json', 'pytorch_model.bin']));
  const reply = await client.generate({ prompt: [2, 10, 11], max_new_tokens: 5, ignore_eos: true });
  expect(reply).toMatchObject({ text: '', usage: { prompt_tokens: 3, completion_tokens: 5 } });
  const response = await client.post({ prompt: 'text' });
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({
    error: { param: 'prompt', message: expect.stringContaining('no tokenizer') },
  });
});

test('int8 serves the same story alone and in a batch', async () => {
  const { client } = await start('--precision', 'int8');
  const request = { prompt: 'Once upon a time', max_new_tokens: 40 };
  const alone = await client.generate(request);
  const others = Array.from({ length: 20 }, (_, i) =>
    client.generate({ ...long, prompt: `${i} dogs`, max_new_tokens: 30 }),
  );
  expect((await client.generate(request)).token_ids).toEqual(alone.token_ids);
  await Promise.all(others);
  expect(alone.text).toMatch(/^, there was a/);
});

describe('a server that cannot start prints the reason on one line and exits with an error:', () => {
  async function failure(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<string> {
    const { exitCode, stderr, stdout } = await new WeftProcess(args, environment).ended;
    expect(exitCode).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^weft: [^\n]+\n$/);
    return stderr;
  }

  test('a missing model folder', async () => {
    expect(await failure(['serve', 'no/such/folder'])).toContain('there is no model folder no/such/folder');
  });

  test('a folder that is not a model', async () => {
    expect(await failure(['serve', await temporaryFolder()])).toContain('has no config.json');
  });

  test('another architecture', async () => {
    const folder = await copyOf(reference('opt-mini'), ['config.json', 'model.safetensors']);
    await patchJson(path.join(folder, 'config.json'), { model_type: 'gpt2' });
    expect(await failure(['serve', folder])).toContain('model_type "gpt2" is not supported');
  });

  test('truncated weights', async () => {
    const folder = await copyOf(reference('opt-mini'), ['config.json', 'model.safetensors']);
    await truncate(path.join(folder, 'model.safetensors'), 300_000);
    expect(await failure(['serve', folder])).toContain('is broken: it ends at byte 300000');
  });

  test('a broken tokenizer', async () => {
    const folder = await copyOf(reference('opt-mini'), ['config.json', 'model.safetensors']);
    await writeFile(path.join(folder, 'tokenizer.json'), '{');
    expect(await failure(['serve', folder])).toContain('tokenizer.json cannot be read as JSON');
  });

  test('a port in use', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    onTestFinished(() => void other.close());
    await once(other, 'listening');
    const address = other.address();
    const port = typeof address === 'object' ? String(address?.port) : '';
    expect(await failure(['serve', '--port', port])).toContain(`port ${port} of 127.0.0.1 is in use`);
  });

  test.each([
    [['serve', '--prot', '1'], {}, 'unknown flag "--prot"; did you mean --port?'],
    [['serve', '--max-batch-size', '0'], {}, '--max-batch-size is "0"; it must be an integer from 1 to 1024'],
    [['serve', '--max-model-len', '513'], {}, '--max-model-len is 513, but opt-stories supports at most 512 tokens'],
    [['serve', '--host', '203.0.113.1'], {}, '203.0.113.1 is not an address of this machine'],
    [['serve'], { WEFT_PORT: 'http' }, 'WEFT_PORT is "http"'],
    [['serv'], {}, 'unknown command "serv"'],
  ])('%j %j', async (args, environment, message) => {
    expect(await failure(args, environment)).toContain(message);
  });
});

describe('--help', () => {
  async function helpOf(...args: readonly string[]): Promise<string> {
    const { exitCode, stdout } = await new WeftProcess(args).ended;
    expect(exitCode).toBe(0);
    expect(Math.max(...stdout.split('\n').map(({ length }) => length))).toBeLessThanOrEqual(100);
    return stdout;
  }

  test('alone lists the commands', async () => {
    const help = await helpOf('--help');
    expect(help).toMatch(/^ {2}serve +Serve a model over HTTP\.$/m);
    expect(help).toMatch(/^ {2}models pull +\w/m);
    expect(help).not.toContain('--port');
    expect(await helpOf()).toBe(help);
    expect(await helpOf('help')).toBe(help);
  });

  test('after a group lists its commands', async () => {
    const help = await helpOf('models', '--help');
    expect(help).toContain('models prune');
    expect(help).not.toContain('bench');
  });

  test('after a command explains it and its flags alone', async () => {
    const help = await helpOf('serve', '--help');
    expect(help).toMatch(/^Usage: weft serve \[MODEL\] \[FLAGS\]\n/);
    expect(help).toMatch(/^ {2}--port +Port to listen on/m);
    expect(help).not.toContain('--dry-run');
    expect(await helpOf('serve', 'some/model', '--port', '1', '-h')).toBe(help);
    expect(await helpOf('help', 'serve')).toBe(help);
    expect(await helpOf('models', 'prune', '--help')).toContain('--dry-run');
    expect(await helpOf('bench', 'capacity', '--help')).toContain('--slo');
  });

  test('--version prints the version', async () => {
    expect((await new WeftProcess(['--version']).ended).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });
});
