import { chmod, cp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Client } from '../support/client.ts';
import { copyOf, expectedCases, type ModelCase, reference } from '../support/fixtures.ts';
import { Machine } from '../support/machine.ts';
import { graphsIn } from '../support/refusal.ts';
import { ServerProcess } from '../support/weft-process.ts';

const mini = reference('opt-mini');
const modelFiles = ['config.json', 'model.safetensors'];
const [expected] = expectedCases<ModelCase>(mini);

function serve(machine: Machine, folder: string): ServerProcess {
  const server = new ServerProcess([folder], machine.environment());
  onTestFinished(() => server.kill('SIGKILL'));
  return server;
}

async function greedyTokens(server: ServerProcess): Promise<unknown> {
  const prompt = [...(expected?.prompt_token_ids ?? [])];
  const reply = await new Client(await server.url).generate({ prompt, max_new_tokens: 24, ignore_eos: true });
  return reply.token_ids;
}

const cacheOf = (machine: Machine) => path.join(machine.folder, 'weft');

/** The files of the only graph in the cache, made writable. */
async function graphFiles(machine: Machine): Promise<{ readonly graph: string; readonly data: string }> {
  const [name = ''] = await graphsIn(cacheOf(machine));
  const graph = path.join(cacheOf(machine), name, 'model.onnx');
  const data = `${graph}.data`;
  for (const file of [graph, data]) await chmod(file, 0o644);
  return { graph, data };
}

describe('a damaged graph', () => {
  test.each(['graph', 'data'] as const)('is rebuilt when a server starts (damaged: %s)', async (damaged) => {
    const machine = await Machine.create();
    await machine.succeed('models', 'convert', mini);
    const file = (await graphFiles(machine))[damaged];
    const bytes = await readFile(file);
    await writeFile(file, bytes.fill(0, 0, bytes.length >> 1));
    const server = serve(machine, mini);
    expect(await greedyTokens(server)).toEqual(expected?.greedy_token_ids);
    const { exitCode, stderr } = await server.stop();
    expect(exitCode).toBe(0);
    expect(stderr).toMatch(
      /^the graph in \/.* is damaged and will be rebuilt: model\.onnx(\.data)? has changed since it was written\n$/,
    );
  });

  test('that was truncated ends an idle server with a line in the log', async () => {
    const machine = await Machine.create();
    const server = serve(machine, mini);
    await server.url;
    const { data } = await graphFiles(machine);
    await truncate(data, 100);
    const { exitCode, stdout } = await server.ended;
    expect(exitCode).toBe(1);
    const lines = stdout.split('\n').filter((line) => line.startsWith('{'));
    expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({
      level: 60,
      msg: expect.stringMatching(/model\.onnx\.data was cut from \d+ to 100 bytes while it was being served/),
    });
  });
});

describe('weft models prune', () => {
  test('removes the graphs of deleted models, even of one that is being served', async () => {
    const machine = await Machine.create();
    const folder = await copyOf(mini, modelFiles);
    const server = serve(machine, folder);
    await server.url;
    await machine.succeed('models', 'convert', 'opt-stories', '--precision', 'int8');
    await rm(folder, { recursive: true });
    const random = path.join(cacheOf(machine), 'models', 'small-random');
    await cp(reference('opt-mini-postln'), random, { recursive: true });
    const kept = /^kept: small-random, [\d.]+ kB; weft models rm small-random removes it$/m;

    const { stdout: announced } = await machine.succeed('models', 'prune', '--dry-run', 'on');
    expect(announced).toMatch(
      /opt-[0-9a-f]{32}, [\d.]+ MB: graph of opt-mini in fp32: no model on this machine uses it$/m,
    );
    expect(announced).toMatch(/^[\d.]+ MB would be freed$/m);
    expect(announced).toMatch(kept);
    expect(await graphsIn(cacheOf(machine))).toHaveLength(3);

    const { stdout } = await machine.succeed('models', 'prune');
    expect(stdout).toBe(announced.replace('would be freed', 'freed'));
    expect((await graphsIn(cacheOf(machine))).filter((name) => name !== 'models')).toHaveLength(1);
    expect(await readdir(random)).toContain('model.safetensors');

    expect(await greedyTokens(server)).toEqual(expected?.greedy_token_ids);
    expect((await server.stop()).exitCode).toBe(0);
    expect((await machine.succeed('models', 'prune')).stdout).toMatch(/^there is nothing to remove\n/);
  });
});

test.runIf(process.platform === 'linux')('a cache folder in /proc is refused with one line', async () => {
  const machine = await Machine.create();
  expect(await machine.fail(['serve', mini, '--cache-dir', '/proc/nope'])).toMatch(
    /^weft: the graph cannot be built in \/proc\/nope: ENOENT.*; choose another cache folder \(--cache-dir\)$/,
  );
  expect(await machine.fail(['models', 'random', 'opt-125m', '--cache-dir', '/proc/nope'])).toMatch(
    /^weft: opt-125m-random cannot be stored on this machine: ENOENT/,
  );
});
