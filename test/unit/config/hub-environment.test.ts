import { writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { loadHubEnvironment } from '../../../src/config/index.ts';
import { temporaryFolder } from '../../support/fixtures.ts';

test.each<[Record<string, string>, string]>([
  [{}, path.join(homedir(), '.cache/huggingface/hub')],
  [{ XDG_CACHE_HOME: '/xdg' }, '/xdg/huggingface/hub'],
  [{ HF_HOME: '~/hf', XDG_CACHE_HOME: '/xdg' }, path.join(homedir(), 'hf/hub')],
  [{ HUGGINGFACE_HUB_CACHE: '/old', HF_HOME: '/hf' }, '/old'],
  [{ HF_HUB_CACHE: '/new', HUGGINGFACE_HUB_CACHE: '/old' }, '/new'],
  [{ HF_HUB_CACHE: ' ', HF_HOME: '/hf' }, '/hf/hub'],
])('with %j the cache is %s', (environment, cacheDir) => {
  expect(loadHubEnvironment(environment).cacheDir).toBe(cacheDir);
});

test('the token is given, or saved, or undefined', async () => {
  const home = await temporaryFolder();
  expect(loadHubEnvironment({ HF_HOME: home }).token).toBeUndefined();
  await writeFile(path.join(home, 'token'), 'saved\n');
  expect(loadHubEnvironment({ HF_HOME: home }).token).toBe('saved');
  expect(loadHubEnvironment({ HF_TOKEN_PATH: path.join(home, 'token') }).token).toBe('saved');
  expect(loadHubEnvironment({ HF_HOME: home, HF_TOKEN: 'given' }).token).toBe('given');
});

test('the hub is huggingface.co, or an address', () => {
  expect(loadHubEnvironment({}).endpoint).toBe('https://huggingface.co');
  expect(loadHubEnvironment({ HF_ENDPOINT: 'http://mirror:8000/hub/' }).endpoint).toBe('http://mirror:8000/hub');
  for (const wrong of ['mirror', 'ftp://mirror']) {
    expect(() => loadHubEnvironment({ HF_ENDPOINT: wrong })).toThrow(/HF_ENDPOINT is ".*"; it must be an address/);
  }
});

test.each([
  ['1', true],
  ['YES', true],
  ['0', false],
  ['', false],
])('HF_HUB_OFFLINE=%s: %s', (written, isOffline) => {
  expect(loadHubEnvironment({ HF_HUB_OFFLINE: written }).isOffline).toBe(isOffline);
});
