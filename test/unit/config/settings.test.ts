import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  capacityKeys,
  loadSettings,
  modelsKeys,
  renderMarkdown,
  serveKeys,
  variableOf,
} from '../../../src/config/index.ts';
import { UserError } from '../../../src/core/index.ts';

test('settings have their defaults', () => {
  expect(loadSettings([], {})).toMatchObject({ host: '127.0.0.1', port: 8080, maxBatchSize: 50, batchTimeoutMs: 100 });
});

test('a flag beats the environment, which beats the default', () => {
  const environment = { WEFT_PORT: '9000', WEFT_MAX_BATCH_SIZE: '8', OTHER: 'x' };
  expect(loadSettings(['--port', '9001'], environment)).toMatchObject({ port: 9001, maxBatchSize: 8 });
});

test('the model is the first argument, a flag or a variable', () => {
  expect(loadSettings(['some/folder', '--port=1'], {})).toMatchObject({ model: 'some/folder', port: 1 });
  expect(loadSettings(['--model', 'some/folder'], {}).model).toBe('some/folder');
  expect(loadSettings([], { WEFT_MODEL: 'some/folder' }).model).toBe('some/folder');
});

test('a list is separated by commas', () => {
  expect(loadSettings([], {}).allowedHosts).toEqual([]);
  expect(loadSettings(['--allowed-hosts', 'weft.example, [::1],*'], {}).allowedHosts).toEqual([
    'weft.example',
    '[::1]',
    '*',
  ]);
});

test('the flag of a list may be repeated; it replaces the variable', () => {
  const args = ['--served-model-name', 'a', '--served-model-name=b, c'];
  expect(loadSettings(args, { WEFT_SERVED_MODEL_NAME: 'd,e' }).servedModelName).toEqual(['a', 'b', 'c']);
  expect(loadSettings([], { WEFT_SERVED_MODEL_NAME: 'd,e' }).servedModelName).toEqual(['d', 'e']);
  expect(loadSettings([], {}).servedModelName).toBeUndefined();
  expect(loadSettings(['--port', '1', '--port', '2'], {}).port).toBe(2);
});

test.each([
  ['--threads', '0', 'threads'],
  ['--max-model-len', '0', 'maxModelLen'],
  ['--max-step-tokens', '0', 'maxStepTokens'],
  ['--precision', 'auto', 'precision'],
  ['--log-format', 'auto', 'logFormat'],
] as const)('%s %s is the same as nothing: the program picks a value', (flag, automatic, key) => {
  expect(loadSettings([], {})[key]).toBeUndefined();
  expect(loadSettings([flag, automatic], {})[key]).toBeUndefined();
  expect(loadSettings([flag, automatic], { [variableOf(key)]: 'overridden' })[key]).toBeUndefined();
});

test('an empty variable counts as absent, and unknown variables are ignored', () => {
  expect(loadSettings([], { WEFT_PORT: '', WEFT_SERVICE_HOST: '10.0.0.1' }).port).toBe(8080);
});

describe('a refusal names the flag or variable:', () => {
  test.each<[string[], Record<string, string>, string]>([
    [['--port', 'http'], {}, '--port is "http"; it must be an integer from 0 to 65535'],
    [['--port=65536'], {}, '--port is "65536"; it must be an integer from 0 to 65535'],
    [['--port', '80.5'], {}, '--port is "80.5"; it must be an integer from 0 to 65535'],
    [['--max-batch-size', '0'], {}, '--max-batch-size is "0"; it must be an integer from 1 to 1024'],
    [[], { WEFT_BATCH_TIMEOUT_MS: '-1' }, 'WEFT_BATCH_TIMEOUT_MS is "-1"; it must be an integer from 0 to 60000'],
    [['--log-level', 'loud'], {}, '--log-level is "loud"; it must be fatal, error, warn, info, debug, or silent'],
    ...['', 'a,,b', 'a:80', 'http://a', '*.a'].map((written): [string[], Record<string, string>, string] => [
      [`--allowed-hosts=${written}`],
      {},
      `--allowed-hosts is "${written}"; it must be comma-separated host names without ports or * for any name`,
    ]),
    [['--served-model-name', 'a,'], {}, '--served-model-name is "a,"; it must be comma-separated names'],
    [['--port'], {}, '--port needs a value: an integer from 0 to 65535'],
    [['--host', '--port', '1'], {}, '--host needs a value: text'],
    [['--host='], {}, '--host is ""; it must be text'],
    [['--prot', '1'], {}, 'unknown flag "--prot"; did you mean --port?'],
    [['--gpu-memory-utilization', '1'], {}, 'unknown flag "--gpu-memory-utilization"; --help lists all flags'],
    [['a', 'b'], {}, '"b" is a second model; only one can be served'],
    [['--model', 'a', 'b'], {}, '"b" is a second model; only one can be served'],
    [['--max-model-len', '1'], {}, '--max-model-len is "1"; it must be 0 or an integer from 2 to 1048576'],
  ])('%j %j', (args, environment, message) => {
    expect(() => loadSettings(args, environment)).toThrow(new UserError(message));
  });

  test('a step that is too small for the batch', () => {
    expect(() => loadSettings(['--max-step-tokens', '50'], {})).toThrow(
      /--max-step-tokens is 50; it must be larger than --max-batch-size, which is 50/,
    );
  });
});

test.each([
  ['weft serve', serveKeys],
  ['weft bench capacity', capacityKeys],
  ['weft models', modelsKeys],
])('the documentation lists the settings of %s as they are declared', (_, keys) => {
  const documentation = readFileSync(new URL('../../../docs/configuration.md', import.meta.url), 'utf8');
  expect(documentation).toContain(renderMarkdown(keys));
});
