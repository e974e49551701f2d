import { readFileSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));

export const embeddedModel = path.join(root, 'models/opt-stories');
export const reference = (name: string) => path.join(root, 'test/fixtures/reference', name);
export const addedTokensFixture = path.join(root, 'test/fixtures/added-tokens/expected.json');
export const chatFixtures = path.join(root, 'test/fixtures/chat');
export const variants = path.join(root, 'test/fixtures/variants');

/** A text and the token ids that Hugging Face's tokenizer gives it. */
export interface TokenizerCase {
  readonly text: string;
  readonly ids: readonly number[];
  readonly ids_without_special: readonly number[];
  /** What `ids_without_special` stand for. */
  readonly decoded: string;
}

/** A prompt and what Hugging Face transformers computes for it. */
export interface ModelCase {
  readonly prompt_token_ids: readonly number[];
  readonly greedy_token_ids: readonly number[];
  readonly last_prompt_logits_f32_base64: string;
}

/** A story written by the embedded model. */
export interface StoryCase {
  readonly prompt: string;
  readonly prompt_token_ids: readonly number[];
  readonly token_ids: readonly number[];
  readonly text: string;
  readonly finish_reason: 'stop' | 'length';
}

export function expectedCases<Case>(folder: string): readonly Case[] {
  return JSON.parse(readFileSync(path.join(folder, 'expected.json'), 'utf8')).cases;
}

/** An empty folder, removed after the test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'weft-test-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
  return folder;
}

/** A copy of some files of a folder, which a test may damage. It is removed after the test. */
export async function copyOf(folder: string, files: readonly string[]): Promise<string> {
  const copy = path.join(await temporaryFolder(), path.basename(folder));
  for (const file of files) {
    await mkdir(path.dirname(path.join(copy, file)), { recursive: true });
    await copyFile(path.join(folder, file), path.join(copy, file));
  }
  return copy;
}

/** Changes a float32 tensor in a safetensors file. */
export async function patchTensor(file: string, name: string, change: (values: Float32Array) => void): Promise<void> {
  const bytes = await readFile(file);
  const dataStart = 8 + Number(bytes.readBigUInt64LE());
  const { data_offsets: offsets } = JSON.parse(bytes.toString('utf8', 8, dataStart))[name];
  const tensor = bytes.subarray(dataStart + offsets[0], dataStart + offsets[1]);
  const values = new Float32Array(new Uint8Array(tensor).buffer);
  change(values);
  tensor.set(new Uint8Array(values.buffer));
  await writeFile(file, bytes);
}

/** Changes some keys in a JSON file. */
export async function patchJson(file: string, changes: Readonly<Record<string, unknown>>): Promise<void> {
  await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, 'utf8')), ...changes }));
}
