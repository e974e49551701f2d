import { describe, expect, test } from 'vitest';
import { loadOptions, loadSettings, type SettingKey } from '../../../src/config/index.ts';
import { UserError } from '../../../src/core/index.ts';

const keys: readonly SettingKey[] = [
  'maxBatchSize',
  'maxModelLen',
  'maxStepTokens',
  'precision',
  'cacheDir',
  'servedModelName',
];

test('options that are not given are at their defaults', () => {
  expect(loadOptions(keys, { maxBatchSize: undefined })).toEqual(loadSettings([], {}));
  const given = { maxBatchSize: 8, precision: 'int8', cacheDir: '/tmp/x', servedModelName: ['a', 'b'] };
  expect(loadOptions(keys, given)).toEqual({ ...loadSettings([], {}), ...given });
});

describe('an error names the option as it is given:', () => {
  test.each<[Record<string, unknown>, string]>([
    [{ maxBatchSize: 0 }, 'maxBatchSize is 0; it must be an integer from 1 to 1024'],
    [{ maxBatchSize: 1.5 }, 'maxBatchSize is 1.5; it must be an integer from 1 to 1024'],
    [{ maxBatchSize: '8' }, 'maxBatchSize is "8"; it must be an integer from 1 to 1024'],
    [{ precision: 'fp8' }, 'precision is "fp8"; it must be fp32, fp16, int8, or int8-fast'],
    [{ cacheDir: 8 }, 'cacheDir is 8; it must be a folder'],
    [
      { port: 80 },
      'unknown option "port"; the options are maxBatchSize, maxModelLen, maxStepTokens, precision, cacheDir, servedModelName',
    ],
    [{ servedModelName: 'a' }, 'servedModelName is "a"; it must be comma-separated names'],
    [{ servedModelName: [] }, 'servedModelName is []; it must be comma-separated names'],
    [{ servedModelName: ['a,b'] }, 'servedModelName is ["a,b"]; it must be comma-separated names'],
    [{ servedModelName: [1] }, 'servedModelName is [1]; it must be comma-separated names'],
    [{ maxModelLen: 1 }, 'maxModelLen is 1; it must be an integer from 2 to 1048576'],
    [
      { maxBatchSize: 8, maxStepTokens: 8 },
      'maxStepTokens is 8; it must be larger than maxBatchSize, which is 8, because every running sequence takes one token of each step',
    ],
  ])('%j', (options, message) => {
    expect(() => loadOptions(keys, options)).toThrow(new UserError(message));
  });
});
