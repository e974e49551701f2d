import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { flagOf, loadSettings, type SettingKey } from '../../../src/config/index.ts';
import { errorTable } from '../../../src/core/index.ts';

const docs = readFileSync(new URL('../../../docs/limits.md', import.meta.url), 'utf8');

test('docs/limits.md lists every error with its status', () => {
  const rows = [...docs.matchAll(/^\| `(\w+)` \| (\d+) \|/gm)].map(([, code, status]) => [code, Number(status)]);
  expect(rows).toEqual(Object.entries(errorTable).map(([code, { status }]) => [code, status]));
});

test('docs/limits.md names settings that exist', () => {
  const flags = new Set((Object.keys(loadSettings([], {})) as SettingKey[]).map(flagOf));
  const named = [...docs.matchAll(/`(--[a-z-]+)/g)].map(([, flag = '']) => flag);
  expect(named.length).toBeGreaterThan(20);
  expect(named.filter((flag) => !flags.has(flag))).toEqual([]);
});

test('docs/limits.md names the setting behind every limit that has one', () => {
  const settingOf = Object.fromEntries(
    [...docs.matchAll(/^\| `(\w+)` \|.*\| (?:`(--[a-z-]+)` )?\|$/gm)].map(([, code, flag]) => [code, flag]),
  );
  expect(settingOf).toMatchObject({
    client_too_slow: flagOf('maxPendingEvents'),
    host_not_allowed: flagOf('allowedHosts'),
    body_too_large: flagOf('maxBodyBytes'),
    queue_full: flagOf('maxQueueSize'),
    too_many_pipelined: flagOf('maxPipelinedRequests'),
    too_many_connections: flagOf('maxConnections'),
  });
});
