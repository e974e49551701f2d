import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { flagOf, loadSettings, type SettingKey } from '../../../src/config/index.ts';
import { type ErrorCode, errorTable, ServingError } from '../../../src/core/index.ts';
import { startServer } from '../../support/fake-generator.ts';
import { filled } from '../../support/filled.ts';

const file = fileURLToPath(new URL('../../../docs/errors.md', import.meta.url));
const document = readFileSync(file, 'utf8');
const codes = Object.keys(errorTable) as ErrorCode[];

/** What the document says about a code: the last two cells of its row. */
function wordsOf(code: ErrorCode): readonly [meaning: string, advice: string] {
  const row = document.split('\n').find((line) => line.startsWith(`| \`${code}\` |`));
  const [meaning = '', advice = ''] = row?.split(' | ').slice(-2) ?? [];
  return [meaning, advice.replace(/ \|$/, '')];
}

/** How a request is refused with an error: by the routes of each dialect. */
async function refusals(code: ErrorCode) {
  const { app, generator } = await startServer();
  generator.refusal = new ServingError(code, 'the message');
  const refuse = async (url: string, payload: object) => {
    const response = await app.inject({ method: 'POST', url, payload });
    return { status: response.statusCode, body: response.json() };
  };
  return {
    weft: await refuse('/generate', { prompt: 'x' }),
    openAi: await refuse('/v1/completions', { prompt: 'x' }),
    tgi: await refuse('/generate', { inputs: 'x' }),
  };
}

async function rowOf(code: ErrorCode): Promise<string> {
  const { weft, openAi, tgi } = await refusals(code);
  expect(openAi).toEqual(weft);
  const { type } = weft.body.error;
  return `| ${[`\`${code}\``, weft.status, `\`${type}\``, tgi.status, `\`${tgi.body.error_type}\``, ...wordsOf(code)].join(' | ')} |`;
}

// `npx vitest run test/unit/docs -u` updates the table.
test('docs/errors.md lists every error as each dialect reports it', async () => {
  const header = ['code', 'status', 'type', 'TGI: status', 'TGI: type', 'meaning', 'what to do'];
  const rows = [];
  for (const code of codes) rows.push(await rowOf(code));
  const table = [`| ${header.join(' | ')} |`, `|${' --- |'.repeat(header.length)}`, ...rows].join('\n');
  await expect(filled(document, () => table)).toMatchFileSnapshot(file);
});

test.each(codes)('docs/errors.md says what %s means and what to do', (code) => {
  for (const words of wordsOf(code)) expect(words.length).toBeGreaterThan(10);
});

test('docs/errors.md names settings that exist, where one is behind the error', () => {
  const flags = new Set((Object.keys(loadSettings([], {})) as SettingKey[]).map(flagOf));
  const named = [...document.matchAll(/`(--[a-z-]+)/g)].map(([, flag = '']) => flag);
  expect(named.filter((flag) => !flags.has(flag))).toEqual([]);
  const settingOf = {
    client_too_slow: 'maxPendingEvents',
    host_not_allowed: 'allowedHosts',
    body_too_large: 'maxBodyBytes',
    queue_full: 'maxQueueSize',
    too_many_pipelined: 'maxPipelinedRequests',
    too_many_connections: 'maxConnections',
  } as const;
  for (const code of Object.keys(settingOf) as (keyof typeof settingOf)[]) {
    expect(wordsOf(code).join()).toContain(`\`${flagOf(settingOf[code])}\``);
  }
});
