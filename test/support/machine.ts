import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { reference, temporaryFolder } from './fixtures.ts';
import { HubServer } from './hub-server.ts';
import { type Ended, WeftProcess } from './weft-process.ts';

/** An isolated environment for `weft`, with its own Weft cache, Hugging Face cache and hub. */
export class Machine {
  readonly hub: HubServer;
  readonly folder: string;

  private constructor(hub: HubServer, folder: string) {
    this.hub = hub;
    this.folder = folder;
  }

  static async create(): Promise<Machine> {
    return new Machine(await HubServer.start(), await temporaryFolder());
  }

  environment(changes: Readonly<Record<string, string>> = {}) {
    const { folder, hub } = this;
    return {
      WEFT_CACHE_DIR: path.join(folder, 'weft'),
      HF_HOME: path.join(folder, 'hf'),
      HF_HUB_CACHE: '',
      HUGGINGFACE_HUB_CACHE: '',
      HF_TOKEN_PATH: '',
      HF_TOKEN: '',
      HF_HUB_OFFLINE: '',
      HF_ENDPOINT: hub.url,
      ...changes,
    };
  }

  start(args: readonly string[], changes: Readonly<Record<string, string>> = {}): WeftProcess {
    const weft = new WeftProcess(args, this.environment(changes));
    onTestFinished(() => weft.kill('SIGKILL'));
    return weft;
  }

  async succeed(...args: string[]): Promise<Ended> {
    const ended = await this.start(args).ended;
    expect(ended).toMatchObject({ exitCode: 0 });
    return ended;
  }

  async fail(args: readonly string[], changes: Readonly<Record<string, string>> = {}): Promise<string> {
    const { exitCode, stderr } = await this.start(args, changes).ended;
    expect(exitCode).toBe(2);
    const lines = stderr.trimEnd().split('\n');
    expect(lines.filter((line) => line.startsWith('weft: '))).toEqual(lines.slice(-1));
    return lines.at(-1) ?? '';
  }

  repoFolder(repo: string): string {
    return path.join(this.folder, 'hf/hub', `models--${repo.replace('/', '--')}`);
  }
}

export async function filesOf(folder: string, names: readonly string[]): Promise<Record<string, Buffer>> {
  return Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await readFile(path.join(folder, name))])),
  );
}

/** The files of a repository like facebook/opt-125m, which has many that Weft does not need. */
export async function published(): Promise<Record<string, Buffer>> {
  return {
    ...(await filesOf(reference('opt-mini'), ['config.json', 'generation_config.json', 'pytorch_model.bin'])),
    ...(await filesOf(reference('tokenizer'), ['vocab.json', 'merges.txt', 'tokenizer_config.json'])),
    'README.md': Buffer.from('# OPT'),
    'tf_model.h5': Buffer.alloc(200_000),
    'flax_model.msgpack': Buffer.alloc(200_000),
  };
}
