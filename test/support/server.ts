import { afterAll, beforeAll } from 'vitest';
import { Client } from './client.ts';
import { ServerProcess } from './weft-process.ts';

/** Starts a real server before the tests of a file and stops it after them. */
export function serverForAllTests(
  args: readonly string[] = [],
  environment: Readonly<Record<string, string>> = {},
): { readonly client: Client; readonly server: ServerProcess } {
  const running: { client?: Client; server?: ServerProcess } = {};
  beforeAll(async () => {
    running.server = new ServerProcess(args, environment);
    running.client = new Client(await running.server.url);
  });
  afterAll(async () => {
    const ended = await running.server?.stop();
    if (ended?.exitCode !== 0) throw new Error(`the server exited with ${ended?.exitCode}: ${ended?.stderr}`);
  });
  return {
    get client() {
      if (running.client === undefined) throw new Error('the server is not running');
      return running.client;
    },
    get server() {
      if (running.server === undefined) throw new Error('the server is not running');
      return running.server;
    },
  };
}
