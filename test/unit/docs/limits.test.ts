import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { flagOf, loadSettings, type SettingKey } from '../../../src/config/index.ts';
import { maxLogprobs, requestLimits } from '../../../src/core/index.ts';
import { filled } from '../../support/filled.ts';

const file = fileURLToPath(new URL('../../../docs/limits.md', import.meta.url));
const docs = readFileSync(file, 'utf8');

test('docs/limits.md names settings that exist', () => {
  const flags = new Set((Object.keys(loadSettings([], {})) as SettingKey[]).map(flagOf));
  const named = [...docs.matchAll(/`(--[a-z-]+)/g)].map(([, flag = '']) => flag);
  expect(named.length).toBeGreaterThan(10);
  expect(named.filter((flag) => !flags.has(flag))).toEqual([]);
});

// `npx vitest run test/unit/docs -u` updates the table.
test('docs/limits.md lists the limits of one request as they are', async () => {
  const { maxStops, maxStopLength, maxStopTokenIds, maxBadWords, maxBiases, maxSaltLength, maxReplyLogprobs } =
    requestLimits;
  const rows = {
    'prompt and new tokens': 'the context: `--max-model-len`',
    'answers to one prompt (`n`, `best_of`)': '`--max-batch-size`',
    'answers to all prompts of a request': '`--max-batch-size` and `--max-queue-size` together',
    'stop strings': `${maxStops}, of up to ${maxStopLength} characters`,
    'stop tokens': maxStopTokenIds,
    'forbidden words': `${maxBadWords}, of up to ${maxStopLength} characters`,
    'entries of a logit bias': maxBiases,
    'characters of a cache salt': maxSaltLength,
    'log probabilities per token': `${maxLogprobs} of the likeliest tokens, and the token's own`,
    'log probabilities of prompts': `${maxReplyLogprobs}, counted as often as the reply has them`,
    'log probabilities of new tokens': `${maxReplyLogprobs}, if the reply is not streamed`,
  };
  const lines = Object.entries(rows).map(([limit, value]) => `| ${limit} | ${value} |`);
  const table = ['| limit | value |', '| --- | --- |', ...lines].join('\n');
  await expect(filled(docs, () => table)).toMatchFileSnapshot(file);
});
