import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, type TestContext, test } from 'vitest';
import { outputOf } from '../../support/run-file.ts';
import { serverForAllTests } from '../../support/server.ts';
import { needTool } from '../../support/tools.ts';

const up = serverForAllTests(['--log-level', 'error']);
const folder = fileURLToPath(new URL('../../../examples/', import.meta.url));

/** Runs an example against the server. @returns what it prints */
async function run(context: TestContext, example: string): Promise<string> {
  const programs = { mjs: () => process.execPath, py: () => needTool(context, 'openai-python'), sh: () => 'sh' };
  const extension = example.split('.').at(-1) as keyof typeof programs;
  return outputOf([programs[extension](), `${folder}${example}`], { WEFT_URL: up.client.url });
}

/** The reply to a JSON body. */
async function reply(route: string, body: object) {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(up.client.url + route, { method: 'POST', headers, body: JSON.stringify(body) });
  expect(response.status).toBe(200);
  return JSON.parse(await response.text());
}

/** How the story goes on. */
async function story(): Promise<string> {
  return (await reply('/generate', { prompt: 'Once upon a time', max_new_tokens: 20 })).text;
}

/** The answer to the chat of the examples. */
async function chat(): Promise<string> {
  const messages = [{ role: 'user', content: 'Tell me a story.' }];
  const body = { model: 'opt-stories', messages, max_tokens: 20, seed: 1 };
  return (await reply('/v1/chat/completions', body)).choices[0].message.content;
}

const expected: Record<string, () => Promise<readonly string[]>> = {
  'huggingface-inference.mjs': async () => [await story(), await chat()],
  'huggingface_client.py': async () => [await story(), await story()],
  'langchain.mjs': async () => [await story(), await chat()],
  'openai.mjs': async () => [await story(), await chat()],
  'openai_client.py': async () => [await story(), await chat()],
  'vercel-ai-sdk.mjs': async () => [await chat(), await chat()],
};

test.for(Object.entries(expected))('examples/%s', async ([example, texts], context) => {
  const printed = await run(context, example);
  expect(printed).toBe(`${(await texts()).join('\n')}\n`);
  expect(printed.length).toBeGreaterThan(40);
});

test('examples/curl.sh', async (context) => {
  needTool(context, 'curl');
  const text = await story();
  const parts = (await run(context, 'curl.sh')).split('\n').filter((line) => line !== '');
  const bodies = parts.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line));
  expect(bodies).toMatchObject([
    { text },
    { choices: [{ text }] },
    { choices: [{ message: { role: 'assistant' } }] },
    { generated_text: text },
  ]);
  const events = parts.filter((line) => line.startsWith('data:')).map((line) => JSON.parse(line.slice(5)));
  const ownText = events.flatMap(({ text: part }) => (part === undefined ? [] : [part])).join('');
  const tgiText = events.flatMap(({ token }) => (token === undefined ? [] : [token.text])).join('');
  expect([ownText, tgiText]).toEqual([text, text]);
});

test('every example has a test', () => {
  expect(readdirSync(folder).sort()).toEqual([...Object.keys(expected), 'curl.sh'].sort());
});
