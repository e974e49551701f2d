import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { expect, onTestFinished, test } from 'vitest';
import { chatLimits } from '../../src/chat/limits.ts';
import { OffLoopRenderer } from '../../src/chat/off-loop-renderer.ts';
import { copyOf, embeddedModel } from '../support/fixtures.ts';
import { ServerProcess } from '../support/weft-process.ts';

const workerFile = fileURLToPath(new URL('../../dist/chat/render-worker.js', import.meta.url));

/** The thread as it is started in a server. */
function startRenderer() {
  let numThreads = 0;
  const renderer = new OffLoopRenderer({ modelTemplates: [] }, (workerData) => {
    numThreads++;
    const resourceLimits = { maxOldGenerationSizeMb: chatLimits.maxHeapMegabytes };
    return new Worker(workerFile, { workerData, resourceLimits });
  });
  onTestFinished(() => renderer.dispose());
  const render = (template: string, variables: Readonly<Record<string, unknown>> = {}) => {
    const messages = [{ role: 'user', content: 'Hi' }];
    const job = { template, messages, addGenerationPrompt: true, continueFinalMessage: false, variables };
    return renderer.render(JSON.stringify(job), new AbortController().signal);
  };
  return { render, numThreads: () => numThreads };
}

const tooSlow = { failure: { kind: 'too slow', reason: 'it takes longer than 1000 ms' } };
const tooLong = { failure: { kind: 'too large', reason: 'a text has more than 1048576 characters' } };
/** Depending on how busy the machine is, the time or the memory is used up first. */
const givenUp = { failure: { kind: expect.stringMatching(/^too (slow|large)$/) } };

const doubled = `{% set ns = namespace(x='ab') %}{% for i in range(25) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}`;
const million = `{% set ns = namespace(x='ab') %}{% for i in range(19) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}`;
const loops = (depth: number, body: string) =>
  '{% for i in range(100000) %}'.repeat(depth) + body + '{% endfor %}'.repeat(depth);

test.each<[string, string, object]>([
  ['loops for hours', loops(3, ''), tooSlow],
  ['has a syntax that takes quadratic time to read', `a${' '.repeat(1_000_000)}b{% if x %}`, tooSlow],
  ['asks for a huge range', '{% for i in range(999999999) %}{% endfor %}', { failure: { kind: 'too large' } }],
  ['doubles a text', `${doubled}{{ ns.x }}`, tooLong],
  ['doubles a text without looking at it', `${doubled}`, tooLong],
  ['prints much', loops(1, '{{ "x" * 0 }}'), { failure: { kind: 'wrong' } }],
  ['prints more than a string can hold', `${million}${loops(2, '{{ ns.x }}')}`, givenUp],
  ['replaces each letter by a long text', `${million}{{ ns.x | replace('a', ns.x) }}`, tooLong],
  ['joins long texts', `${million}{{ [ns.x, ns.x, ns.x] | join(ns.x) }}`, tooLong],
  ['joins many with a long text', `${million}{{ range(10000) | list | join(ns.x) }}`, tooLong],
  ['indents by much', "{{ 'a\\nb' | indent(500000000) }}", tooLong],
  ['writes indented JSON', '{{ messages | tojson(indent=500000000) }}', tooLong],
  ['writes JSON that grows exponentially', nested('| tojson'), givenUp],
  ['prints lists that grow exponentially', nested(''), givenUp],
  ['filters a long block', `{% filter upper %}${'{{ big }}'.repeat(300)}{% endfilter %}`, tooLong],
  ['collects a long block', `{% set y %}${'{{ big }}'.repeat(300)}{% endset %}{{ y | upper }}`, tooLong],
  [
    'calls a macro with a long block',
    `{% macro m() %}{{ caller() | upper }}{% endmacro %}{% call m() %}${'{{ big }}'.repeat(300)}{% endcall %}`,
    tooLong,
  ],
  [
    'keeps lists of letters',
    `${million}{% set ns.all = [] %}${loops(1, '{% set ns.all = ns.all + [ns.x.split("a")] %}')}`,
    givenUp,
  ],
  [
    'keeps many texts',
    `${million}{% set ns.all = [] %}${loops(2, '{% set ns.all = [ns.all, ns.x | upper] %}')}`,
    givenUp,
  ],
  [
    'keeps many lists',
    `{% set ns = namespace(all=[]) %}${loops(2, '{% set ns.all = [ns.all, ns.all] %}')}`,
    { failure: {} },
  ],
  ['calls itself', '{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}', { failure: {} }],
  ['is nested deeply', `{{ ${'['.repeat(100_000)} }}`, { failure: { kind: 'wrong' } }],
])('a template that %s is given up, and the next one is rendered', async (_, template, reply) => {
  const { render } = startRenderer();
  expect(await render(template, { big: 'x'.repeat(2 ** 20) })).toMatchObject(reply);
  expect(await render('{{ messages[0].content }}')).toEqual({ prompt: 'Hi' });
});

test('the event loop turns while a template loops', async () => {
  const { render } = startRenderer();
  let numTurns = 0;
  const pulse = setInterval(() => numTurns++, 5);
  onTestFinished(() => clearInterval(pulse));
  expect(await render(loops(3, ''))).toEqual(tooSlow);
  expect(numTurns).toBeGreaterThan(20);
});

/** A list of two lists of two lists … */
function nested(filter: string): string {
  return `{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x ${filter} }}`;
}

test('an error whose message is too long for the thread is still an answer', async () => {
  const { render } = startRenderer();
  const name = 'x'.repeat(2 ** 20);
  const template = '{% macro m() %}{% endmacro %}{{ m(**a) }}';
  expect(await render(template, { a: { [name]: 1 } })).toMatchObject({ failure: { kind: 'wrong' } });
});

test.each<[string, unknown]>([
  ['numbers', Array.from({ length: 1_000_000 }, () => 0)],
  ['objects', Array.from({ length: 600_000 }, () => ({}))],
  ['keys', Object.fromEntries(Array.from({ length: 180_000 }, (_, i) => [`${i}`, i]))],
  ['levels', nestedList(3000)],
])('as many %s as fit into the input end no process', async (_, big) => {
  const { render } = startRenderer();
  expect(await render('{{ big }}', { big })).toBeDefined();
  expect(await render('a')).toEqual({ prompt: 'a' });
});

function nestedList(depth: number): unknown[] {
  let list: unknown[] = [];
  for (let i = 1; i < depth; i++) list = [list];
  return list;
}

test('jobs that follow one that is too slow are done by a new thread', async () => {
  const { render, numThreads } = startRenderer();
  const replies = await Promise.all([
    render('a'),
    render(loops(3, '')),
    render('b'),
    render('{{ 1 / ', {}),
    render('c'),
  ]);
  expect(replies).toMatchObject([
    { prompt: 'a' },
    tooSlow,
    { prompt: 'b' },
    { failure: { kind: 'wrong' } },
    { prompt: 'c' },
  ]);
  expect(numThreads()).toBe(2);
});

test('a job cannot change what later ones compute with', async () => {
  const { render } = startRenderer();
  await render('{% set messages = 1 %}{% set range = 2 %}{{ raise_exception }}', { range: 3, namespace: 4 });
  expect(await render('{{ range(2) | length }}{{ messages | length }}')).toEqual({ prompt: '21' });
});

interface ReplyBody {
  readonly choices?: readonly { readonly text?: string }[];
  readonly error?: { readonly message: string };
}

/** A server whose model has this file. It is ended after the test. */
async function serverWith(file: string, content: string, ...flags: string[]) {
  const folder = await copyOf(embeddedModel, [
    'config.json',
    'model.safetensors',
    'tokenizer.json',
    'tokenizer_config.json',
  ]);
  await mkdir(path.dirname(path.join(folder, file)), { recursive: true });
  await writeFile(path.join(folder, file), content);
  const server = new ServerProcess([folder, ...flags]);
  onTestFinished(async () => {
    server.kill('SIGTERM');
    await server.ended;
  });
  const url = await server.url;
  const post = async (route: string, body: object) => {
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(`${url}/v1/${route}`, { method: 'POST', headers, body: JSON.stringify(body) });
    return { status: response.status, body: (await response.json()) as ReplyBody };
  };
  return { server, post };
}

const chat = (changes: object = {}) => ({
  messages: [{ role: 'user', content: 'Once upon a time' }],
  max_tokens: 3,
  temperature: 0,
  ...changes,
});

test('a chat is completed with the template of the folder, under any name of the model', async () => {
  const template = '{{ bos_token }}{{ messages[0].content }}';
  const { post } = await serverWith('chat_template.jinja', template, '--served-model-name', 'a,b');
  const completed = await post('completions', { prompt: 'Once upon a time', max_tokens: 3, temperature: 0 });
  expect(completed).toMatchObject({ status: 200, body: { model: 'a' } });
  const content = completed.body.choices?.[0]?.text;
  for (const model of ['a', 'b', 'tgi', undefined]) {
    const body = { choices: [{ message: { content } }] };
    expect(await post('chat/completions', chat({ model }))).toMatchObject({ status: 200, body });
  }
  expect(await post('chat/completions', chat({ model: 'c' }))).toMatchObject({
    status: 404,
    body: { error: { code: 'model_not_found' } },
  });
});

test('a folder whose template cannot be read still serves completions; chats are refused with the reason', async () => {
  const { server, post } = await serverWith('chat_template.jinja/file', '');
  expect((await post('completions', { prompt: 'Once', max_tokens: 1 })).status).toBe(200);
  const refused = await post('chat/completions', chat());
  expect(refused).toMatchObject({ status: 400, body: { error: { param: 'messages' } } });
  expect(refused.body.error?.message).toMatch(
    /chat template cannot be used: .*chat_template\.jinja .* not a regular file/,
  );
  server.kill('SIGTERM');
  const { stderr } = await server.ended;
  expect(stderr).toMatch(
    /^\S*chat_template\.jinja cannot be read: .*; chats are refused, and everything else works\n$/,
  );
});
