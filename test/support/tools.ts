import { existsSync } from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'vitest';
import { DeviceError, expectDevice } from '../../src/engine/index.ts';

/** Programs that a developer's machine may lack, and how to install them. `.ci/install-tools` installs all of them. */
const tools = {
  k6: 'go install go.k6.io/k6@v1.8.1',
  locust: 'pip install locust==2.47.0',
  schemathesis: 'pip install schemathesis==4.32.5',
  'openai-python': '.ci/install-tools FOLDER; then add FOLDER/bin to PATH',
  'tgi-python': '.ci/install-tools FOLDER; then add FOLDER/bin to PATH',
  chromium: 'apt-get install chromium',
  curl: 'apt-get install curl',
  cc: 'apt-get install gcc libc6-dev',
} as const;

/** The path of a program. If it is missing, the test is skipped with a note that says so; in CI it fails. */
export function needTool(context: TestContext, name: keyof typeof tools): string {
  const folders = (process.env.PATH ?? '').split(path.delimiter);
  const found = folders.map((folder) => path.join(folder, name)).find((file) => existsSync(file));
  if (found !== undefined) return found;
  return missing(context, `${name} is not installed (${tools[name]})`);
}

/** A software GPU that is installed with Chromium. Vulkan finds it through this file. */
const swiftShader = '/usr/lib/chromium/vk_swiftshader_icd.json';

/**
 * Makes WebGPU use a software GPU, which computes the same everywhere, in this process and its children.
 * With `WEFT_TEST_DEVICE=webgpu` and no software GPU installed, any other GPU will do.
 */
export function needWebGpu(context: TestContext): void {
  const how = 'apt-get install chromium libvulkan1';
  if (existsSync(swiftShader)) process.env.VK_DRIVER_FILES ??= swiftShader;
  else if (process.env.WEFT_TEST_DEVICE !== 'webgpu') missing(context, `${swiftShader} is not installed (${how})`);
  try {
    expectDevice({ kind: 'webgpu' });
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    missing(context, `WebGPU: ${error.message} (${how})`);
  }
}

function missing(context: TestContext, problem: string): never {
  if (process.env.CI) throw new Error(problem);
  return context.skip(problem);
}
