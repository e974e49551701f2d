import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Client } from '../support/client.ts';
import { expectedCases, reference, type StoryCase, temporaryFolder } from '../support/fixtures.ts';
import { needTool, needWebGpu } from '../support/tools.ts';
import { ServerProcess, WeftProcess } from '../support/weft-process.ts';

const flag = '--onnxruntime-node-install=cuda12';
const installCommand = `npm rebuild onnxruntime-node ${flag} (with npm 12: node node_modules/onnxruntime-node/script/install ${flag})`;
const driverSource = fileURLToPath(new URL('../fixtures/cuda-driver.c', import.meta.url));
const ortFolder = path.dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'));
const hasProvider = existsSync(path.join(ortFolder, 'bin/napi-v6/linux/x64/libonnxruntime_providers_cuda.so'));

/** The one-line reason why `weft serve` does not start. */
async function problemOf(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<string> {
  const { exitCode, stdout, stderr } = await new WeftProcess(['serve', ...args], environment).ended;
  expect(exitCode).toBe(2);
  expect(stdout).toBe('');
  expect(stderr).toMatch(/^weft: .*\n$/);
  return stderr.slice('weft: '.length, -1);
}

describe.skipIf(process.platform !== 'linux' || process.arch !== 'x64')('--device cuda', () => {
  /** Builds a fake driver, which hides a real one. @returns the environment in which it is loaded */
  async function driver(cc: string, ...flags: readonly string[]) {
    const folder = await temporaryFolder();
    await promisify(execFile)(cc, [
      '-shared',
      '-fPIC',
      ...flags,
      '-o',
      path.join(folder, 'libcuda.so.1'),
      driverSource,
    ]);
    return { LD_LIBRARY_PATH: folder };
  }

  test('reports that there is no driver', async () => {
    const folder = await temporaryFolder();
    await writeFile(path.join(folder, 'libcuda.so.1'), 'no library');
    expect(await problemOf(['--device', 'cuda'], { LD_LIBRARY_PATH: folder })).toBe(
      `--device cuda: there is no NVIDIA driver (libcuda.so.1 cannot be loaded); install it${hasProvider ? '' : `, then run: ${installCommand}`}`,
    );
  });

  test('names the install script instead of npm if run outside the project folder', async (context) => {
    const environment = await driver(needTool(context, 'cc'));
    const script = path.join(ortFolder, 'script', 'install');
    const { stderr } = await new WeftProcess(['serve', '--device', 'cuda'], environment, await temporaryFolder()).ended;
    if (!hasProvider) expect(stderr).toContain(`run: node ${script} ${flag}\n`);
  });

  test('reports a driver that does not work', async (context) => {
    const environment = await driver(needTool(context, 'cc'), '-DINIT_RESULT=803');
    expect(await problemOf(['--device', 'cuda'], environment)).toBe(
      '--device cuda: the NVIDIA driver does not work: cuInit returned error 803',
    );
  });

  test('reports that there is no device', async (context) => {
    const environment = await driver(needTool(context, 'cc'), '-DNUM_DEVICES=0');
    expect(await problemOf(['--device', 'cuda:0'], environment)).toBe(
      '--device cuda:0: there is no cuda:0: this machine has no CUDA device',
    );
  });

  test('lists the devices if the requested one does not exist', async (context) => {
    const environment = await driver(needTool(context, 'cc'));
    expect(await problemOf(['--device', 'cuda:7'], environment)).toBe(
      '--device cuda:7: there is no cuda:7: this machine has cuda:0 (Imaginary 40)',
    );
  });

  test.skipIf(hasProvider)('reports a missing CUDA provider', async (context) => {
    const environment = await driver(needTool(context, 'cc'));
    expect(await problemOf(['--device', 'cuda'], environment)).toBe(
      `--device cuda: onnxruntime-node has no CUDA provider here; run: ${installCommand}`,
    );
  });
});

test.skipIf(process.platform !== 'linux')('--device webgpu is refused without a usable GPU', async () => {
  const { exitCode, stderr } = await new WeftProcess(['serve', '--device', 'webgpu'], { VK_DRIVER_FILES: '/dev/null' })
    .ended;
  expect(exitCode).toBe(2);
  // WebGPU's own library may print something before it.
  expect(stderr.split('\n').filter((line) => line.startsWith('weft:'))).toEqual([
    expect.stringMatching(/^weft: --device webgpu: it cannot be used: Failed to get a WebGPU adapter/),
  ]);
  expect(stderr.endsWith('No supported adapters\n')).toBe(true);
});

test.each([
  ['cpu', 'fp16', 'fp32, int8, int8-fast: half precision is slow on a CPU'],
  ['cuda', 'int8', 'fp16: attention has no other kernel on CUDA'],
  ['cuda:1', 'fp32', 'fp16: attention has no other kernel on CUDA'],
  ['webgpu', 'fp16', 'fp32: webgpu is for testing only'],
])('--device %s refuses --precision %s', async (device, precision, there) => {
  expect(await problemOf(['--device', device, '--precision', precision])).toBe(
    `--precision ${precision} is not supported with --device ${device}, only ${there}`,
  );
});

test.each(['gpu', 'cuda:', 'cuda:x', 'cuda:-1'])('--device %s is refused', async (device) => {
  expect(await problemOf(['--device', device])).toBe(
    `--device is "${device}"; it must be cpu, cuda, cuda:N for GPU number N, or webgpu`,
  );
});

test('--device webgpu refuses steps that are too long for it to compute correctly', async (context) => {
  needWebGpu(context);
  const args = ['--device', 'webgpu', '--max-batch-size', '4', '--max-step-tokens', '36'];
  expect(await problemOf(args)).toBe(
    '--max-step-tokens is 36; with --device webgpu and --max-batch-size 4, it must be at most 35',
  );
});

test('--device webgpu serves the same stories as the CPU, concurrently', async (context) => {
  needWebGpu(context);
  const server = new ServerProcess(['--device', 'webgpu', '--max-batch-size', '4', '--max-model-len', '64']);
  onTestFinished(() => server.kill('SIGKILL'));
  const client = new Client(await server.url);
  expect(server.stdout).toMatch(/device +WebGPU, fp32\n/);
  const stories = expectedCases<StoryCase>(reference('opt-stories')).slice(0, 3);
  const answers = stories.map(({ prompt }) => client.generateStreamed({ prompt, temperature: 0, max_new_tokens: 12 }));
  for (const [i, answer] of answers.entries()) {
    expect((await answer).token_ids).toEqual(stories[i]?.token_ids.slice(0, 12));
  }
  expect((await server.stop()).exitCode).toBe(0);
});
