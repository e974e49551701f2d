import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { expect, onTestFinished, test } from 'vitest';
import { chatLimits } from '../../src/chat/limits.ts';
import { OffLoopRenderer } from '../../src/chat/off-loop-renderer.ts';

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
])('a template that %s is given up; the process and the event loop live on', async (_, template, reply) => {
  const { render } = startRenderer();
  await render('start');
  let [last, longest] = [performance.now(), 0];
  const pulse = setInterval(() => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  }, 5);
  onTestFinished(() => clearInterval(pulse));
  expect(await render(template, { big: 'x'.repeat(2 ** 20) })).toMatchObject(reply);
  expect(longest).toBeLessThan(100);
  expect(await render('{{ messages[0].content }}')).toEqual({ prompt: 'Hi' });
});

/** A list of two lists of two lists … */
function nested(filter: string): string {
  return `{% set ns = namespace(x=[1]) %}{% for i in range(60) %}{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x ${filter} }}`;
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
