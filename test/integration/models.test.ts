import { mkdir, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Client } from '../support/client.ts';
import { expectedCases, type ModelCase, reference, type StoryCase } from '../support/fixtures.ts';
import { Machine, published } from '../support/machine.ts';
import { until } from '../support/until.ts';
import { ServerProcess } from '../support/weft-process.ts';

const mini = reference('opt-mini');

test('serve downloads a missing model, and later finds it without a network', async () => {
  const machine = await Machine.create();
  machine.hub.publish('facebook/opt-mini', await published());
  const [expected] = expectedCases<ModelCase>(mini);
  for (const changes of [{}, { HF_HUB_OFFLINE: '1' }]) {
    const server = new ServerProcess(['facebook/opt-mini'], machine.environment(changes));
    onTestFinished(() => server.kill('SIGKILL'));
    const client = new Client(await server.url);
    const prompt = [...(expected?.prompt_token_ids ?? [])];
    const reply = await client.generate({ prompt, max_new_tokens: 24, ignore_eos: true });
    expect(reply).toMatchObject({ model: 'facebook/opt-mini', token_ids: expected?.greedy_token_ids });
    expect((await server.stop()).exitCode).toBe(0);
  }
});

test('a model that does not fit into memory is refused before its weights are downloaded', async () => {
  const machine = await Machine.create();
  const files = await published();
  const config = { ...JSON.parse(String(files['config.json'])), hidden_size: 2 ** 20, ffn_dim: 2 ** 22 };
  machine.hub.publish('a/b', { ...files, 'config.json': Buffer.from(JSON.stringify(config)) });
  expect(await machine.fail(['serve', 'a/b'])).toMatch(
    /the model has [\d,]+ weights, [\d,]+ GB in fp32, and this process may use [\d.]+ GB of memory/,
  );
  expect(machine.hub.requests.filter((request) => request.includes('pytorch_model'))).toEqual([]);
});

describe('a random model', () => {
  const name = 'opt-125m-random';

  test('is created once and served; another seed gives another model', async () => {
    const machine = await Machine.create();
    const weights = path.join(machine.folder, 'weft/models', name, 'model.safetensors');
    const beginning = async (...args: string[]) => {
      await machine.succeed('models', 'random', 'opt-125m', ...args);
      const file = await open(weights);
      const { buffer } = await file.read(Buffer.alloc(1000), 0, 1000, 100_000);
      const { mtimeMs } = await file.stat();
      await file.close();
      return { mtimeMs, bytes: buffer.toString('hex') };
    };
    const first = await beginning();
    expect(await beginning('--seed', '0')).toEqual(first);
    expect((await beginning('--seed', '1')).bytes).not.toBe(first.bytes);
    expect(await readdir(path.dirname(path.dirname(weights)))).toEqual([name]);
    const server = new ServerProcess([name, '--max-model-len', '64'], machine.environment());
    onTestFinished(() => server.kill('SIGKILL'));
    const reply = await new Client(await server.url).generate({ prompt: 'Once', max_new_tokens: 3, ignore_eos: true });
    expect(reply).toMatchObject({ model: name, usage: { completion_tokens: 3 } });
    expect((await server.stop()).exitCode).toBe(0);
  });

  test('leaves nothing behind if its creation is interrupted', async () => {
    const machine = await Machine.create();
    const models = path.join(machine.folder, 'weft/models');
    const weft = machine.start(['models', 'random', 'opt-1.3b']);
    await until(async () => (await readdir(models, { recursive: true }).catch(() => [])).length > 1);
    weft.kill('SIGINT');
    expect((await weft.ended).exitCode).toBe(130);
    expect(await readdir(models)).toEqual([]);
  });
});

describe('a local model', () => {
  test('is listed, described, and removed with its graph', async () => {
    const machine = await Machine.create();
    machine.hub.publish('a/b', await published());
    await machine.succeed('models', 'pull', 'a/b');
    await machine.succeed('models', 'convert', 'a/b');
    expect((await machine.succeed('models', 'list')).stdout).toMatch(
      /^a\/b +0\.2 million +399 kB +Hugging Face hub, main$/m,
    );
    const { stdout } = await machine.succeed('models', 'info', 'a/b');
    expect(stdout).toMatch(/^network +OPT, 3 layers, 4 heads, hidden size 64/m);
    expect(stdout).toMatch(/^graph +fp32, \/.*\/opt-[0-9a-f]{32}$/m);
    expect(await graphsIn(machine)).toHaveLength(1);
    await machine.succeed('models', 'rm', 'a/b');
    expect(await graphsIn(machine)).toEqual([]);
    expect((await machine.succeed('models', 'list')).stdout).not.toContain('a/b');
    expect(await machine.fail(['models', 'rm', 'a/b'])).toContain('there is no model a/b');
    expect(await machine.fail(['models', 'info', 'a/b'])).toContain('a/b is not on this machine at main');
  });

  test('can be removed if it was downloaded in part', async () => {
    const machine = await Machine.create();
    machine.hub.publish('a/b', await published());
    machine.hub.trouble('pytorch_model.bin', { isCorrupt: true });
    await machine.fail(['models', 'pull', 'a/b']);
    await machine.succeed('models', 'rm', 'a/b');
    expect(await readdir(path.join(machine.folder, 'hf/hub'))).toEqual([]);
  });

  test("is not removed if it is not the store's", async () => {
    const machine = await Machine.create();
    expect(await machine.fail(['models', 'rm', 'opt-stories'])).toContain('comes with Weft');
    expect(await machine.fail(['models', 'rm', machine.folder])).toContain('is your own folder');
    expect(await machine.fail(['models', 'rm', '..'])).toContain('is your own folder');
    const other = path.join(machine.repoFolder('some/llama'), 'snapshots/c0ffee');
    await mkdir(other, { recursive: true });
    await writeFile(path.join(other, 'config.json'), '{"model_type": "llama"}');
    expect(await machine.fail(['models', 'rm', 'some/llama'])).toContain(
      'some/llama is not a model that Weft can serve: another program put it in',
    );
    expect(await readdir(other)).toEqual(['config.json']);
    expect((await stat(machine.folder)).isDirectory()).toBe(true);
  });

  test('is found if another program downloaded it, unless it is incomplete', async () => {
    const machine = await Machine.create();
    const folder = machine.repoFolder('facebook/opt-mini');
    const snapshot = path.join(folder, 'snapshots', 'c0ffee'.padEnd(40, '0'));
    await mkdir(path.join(folder, 'refs'), { recursive: true });
    await mkdir(snapshot, { recursive: true });
    await writeFile(path.join(folder, 'refs/main'), 'c0ffee'.padEnd(40, '0'));
    await writeFile(path.join(snapshot, 'config.json'), await readFile(path.join(mini, 'config.json')));
    expect((await machine.succeed('models', 'list')).stdout).not.toContain('facebook');
    await writeFile(path.join(snapshot, 'model.safetensors'), await readFile(path.join(mini, 'model.safetensors')));
    expect((await machine.succeed('models', 'list')).stdout).toMatch(/facebook\/opt-mini .* main$/m);
    await machine.succeed('models', 'convert', 'facebook/opt-mini');
    await rm(path.join(folder, 'refs'), { recursive: true });
    expect((await machine.succeed('models', 'list')).stdout).toMatch(/facebook\/opt-mini .* c0ffee0+$/m);
  });
});

describe('weft bench', () => {
  test('measures the steps of a small model in every precision', async () => {
    const machine = await Machine.create();
    const { stdout } = await machine.succeed('bench', 'engine', mini);
    for (const precision of ['fp32', 'int8', 'int8-fast'])
      expect(stdout).toMatch(new RegExp(`^\\| ${precision} \\| decode 50 `, 'm'));
  });

  test('measures the loss of each precision, compared with transformers', async () => {
    const machine = await Machine.create();
    const stories = expectedCases<StoryCase>(reference('opt-stories')).map(({ prompt, text }) => prompt + text);
    const file = path.join(machine.folder, 'text');
    await writeFile(file, stories.join('<|endoftext|>'));
    const { stdout } = await machine.succeed('bench', 'quality', file);
    expect(stdout).toMatch(/^\| fp32 \| 1\.\d+ \| \d+\.\d+ \| 100\.00 % \|$/m);
    expect(await machine.fail(['bench', 'quality', file, mini])).toContain('has no tokenizer');
    await writeFile(file, 'short');
    expect(await machine.fail(['bench', 'quality', file])).toContain('has fewer than the 256 tokens of a window');
    expect(await machine.fail(['bench', 'quality'])).toContain(
      'TEXT_FILE is missing; usage: weft bench quality TEXT_FILE [MODEL] [FLAGS]',
    );
    expect(await machine.fail(['bench', 'all'])).toContain(
      'unknown command "bench all"; weft --help lists all commands',
    );
  });
});

describe('a wrong command line is refused with one line:', () => {
  test.each([
    [['models'], 'weft models needs a command: pull, list, info, rm, prune, random, convert, export'],
    [['models', 'constructor'], 'unknown command "models constructor"; weft --help lists all commands'],
    [['models', 'lst'], 'unknown command "models lst"; did you mean weft models list?'],
    [['pul', 'a/b'], 'unknown command "pul"; did you mean weft models pull?'],
    [['models', 'pull'], 'OWNER/NAME is missing; usage: weft models pull OWNER/NAME [FLAGS]'],
    [['models', 'pull', 'opt-125m'], 'opt-125m is not a name on the hub: names there are OWNER/NAME'],
    [['models', 'list', 'x'], 'unexpected argument "x"; usage: weft models list [FLAGS]'],
    [['models', 'list', '--seed', '1'], 'unknown flag "--seed"; --help lists all flags'],
    [['models', 'random', 'opt-6b'], 'unknown shape "opt-6b"; the shapes are opt-125m, opt-350m, opt-1.3b'],
    [['models', 'random', 'opt-125m', '--seed', '-1'], '--seed is "-1"; it must be an integer from 0 to 4294967295'],
  ])('%j', async (args, message) => {
    const machine = await Machine.create();
    expect(await machine.fail(args)).toContain(message);
  });

  test('an HF_ENDPOINT that is not a URL', async () => {
    const machine = await Machine.create();
    expect(await machine.fail(['models', 'list'], { HF_ENDPOINT: 'hub' })).toContain(
      'HF_ENDPOINT is "hub"; it must be',
    );
  });
});

async function graphsIn(machine: Machine): Promise<string[]> {
  return (await readdir(path.join(machine.folder, 'weft'))).filter((name) => name.startsWith('opt-'));
}
