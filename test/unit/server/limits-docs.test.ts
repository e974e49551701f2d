import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { flagOf, loadSettings, type SettingKey } from '../../../src/config/index.ts';

const docs = readFileSync(new URL('../../../docs/limits.md', import.meta.url), 'utf8');

test('docs/limits.md names settings that exist', () => {
  const flags = new Set((Object.keys(loadSettings([], {})) as SettingKey[]).map(flagOf));
  const named = [...docs.matchAll(/`(--[a-z-]+)/g)].map(([, flag = '']) => flag);
  expect(named.length).toBeGreaterThan(10);
  expect(named.filter((flag) => !flags.has(flag))).toEqual([]);
});
