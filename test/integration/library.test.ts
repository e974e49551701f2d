import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { FinishedEvent, LoadedModel, PromptEvent, TokenEvent } from '../../src/index.ts';
import { dataFile } from '../../src/model/graph/graph-writer.ts';
import { Client } from '../support/client.ts';
import { temporaryFolder } from '../support/fixtures.ts';
import { until } from '../support/until.ts';
import { failingSteps, RunningProgram } from '../support/weft-process.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const docs = readFileSync(new URL('../../docs/library.md', import.meta.url), 'utf8');
// The built package, as `import 'weft'` finds it; a variable, so that types come from the source.
const entry = new URL('../../dist/index.js', import.meta.url).href;
const { loadModel, ModelError, ServingError, UserError }: typeof import('../../src/index.ts') = await import(entry);

const cacheDir = process.env.WEFT_CACHE_DIR ?? '';

function exampleOf(name: string): string {
  const [, code] = new RegExp(`^\`\`\`js ${name}\\n(.*?)^\`\`\``, 'ms').exec(docs) ?? [];
  if (code === undefined) throw new Error(`docs/library.md has no example ${name}`);
  return code;
}

/** Runs a module that imports the built package by its name. */
function run(code: string, environment: Readonly<Record<string, string>> = {}) {
  return new RunningProgram([process.execPath, '--input-type=module', '--eval', code], {
    folder: root,
    // The examples name no cache folder, so they use the user's.
    environment: { XDG_CACHE_HOME: cacheDir, ...environment },
  });
}

describe('the examples of docs/library.md', () => {
  test('text is generated without HTTP', async () => {
    const { exitCode, stdout, stderr } = await run(exampleOf('generate')).ended;
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout.split(' ').length).toBeGreaterThan(10);
  });

  test('several answers have their own text and probabilities', async () => {
    const { exitCode, stdout, stderr } = await run(exampleOf('choices')).ended;
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toMatch(/^\[(\s*(['"`]).+\2,?){3}\s*\] -\d+\.\d+\n$/);
  });

  test('an application serves the routes, lets requests finish, and ends', async () => {
    const application = run(exampleOf('fastify'), { PORT: '0' });
    const [, url = ''] = await application.printed(/Server listening at (http:\/\/[^"]+)/);
    expect(await (await fetch(url)).text()).toBe('an application of my own');
    const client = new Client(`${url}/llm`);
    expect((await client.generate({ prompt: 'Once upon a time', max_new_tokens: 5 })).token_ids).toHaveLength(5);
    const numTokens = 200;
    let numSeen = 0;
    for await (const { event } of client.stream({ prompt: 'Once', max_new_tokens: numTokens, ignore_eos: true })) {
      if (event !== 'token') continue;
      if (++numSeen === 1) application.kill('SIGTERM');
    }
    expect(numSeen).toBe(numTokens);
    expect(await application.ended).toMatchObject({ exitCode: 0, stderr: '' });
  });
});

test('the package loads Fastify only for its plugin', async () => {
  const hook =
    'export const resolve = async (...args) => { const found = await args[2](args[0], args[1]); process._rawDebug(found.url); return found; }';
  const tracing = `import { register } from 'node:module'; register(${JSON.stringify(`data:text/javascript,${hook}`)});`;
  const { stderr, exitCode } = await run(
    `${tracing} const { loadModel } = await import('weft'); await (await loadModel()).close();`,
  ).ended;
  expect(exitCode).toBe(0);
  expect(stderr).toContain('dist/index.js');
  expect(stderr).not.toMatch(/node_modules\/@?fastify/);
});

describe('a model', () => {
  let model: LoadedModel;
  beforeAll(async () => {
    model = await loadModel(undefined, { cacheDir, maxBatchSize: 2, maxQueueSize: 1, threads: 1 });
  });
  afterAll(() => model.close());

  async function collect(events: AsyncIterable<PromptEvent | TokenEvent | FinishedEvent>) {
    const tokens: TokenEvent[] = [];
    for await (const event of events) {
      if (event.type === 'finished') return { tokens, event };
      if (event.type === 'token') tokens.push(event);
    }
    throw new Error('there was no last event');
  }

  const isIdle = async () => model.generator.stats().numFreeSlots === 2;

  test('describes itself', () => {
    expect(model).toMatchObject({
      name: 'opt-stories',
      precision: 'fp32',
      maxModelLen: 512,
      deviceName: 'CPU, 1 thread',
    });
  });

  test('tells its names, converts text and renders chats', async () => {
    const { codec, chat, ...served } = model.served;
    expect(served).toMatchObject({
      name: 'opt-stories',
      names: ['opt-stories'],
      vocabSize: 3072,
      maxBatchSize: 2,
    });
    const { signal } = new AbortController();
    const ids = await codec?.encode('Once upon', { addSpecialTokens: true, signal });
    expect(codec?.decode(ids ?? [], { skipSpecialTokens: false })).toBe('</s>Once upon');
    const options = {
      addGenerationPrompt: true,
      continueFinalMessage: false,
      template: undefined,
      variables: {},
      signal,
    };
    const prompt = await chat?.render([{ role: 'user', content: 'Hi' }], options);
    expect(prompt).toBe('</s>User: Hi\nAssistant:');
    expect(await codec?.encode(prompt ?? '', { addSpecialTokens: false, signal })).toEqual(
      await codec?.encode('User: Hi\nAssistant:', { addSpecialTokens: true, signal }),
    );
  });

  test('gives concurrent requests the same tokens as alone', async () => {
    const alone = await collect(model.generate('Once upon a time', { maxNewTokens: 20 }));
    expect(alone.event).toMatchObject({ finishReason: 'length', usage: { completionTokens: 20 } });
    expect(alone.tokens.map(({ text }) => text).join('')).toContain('there was');
    const seeded = { maxNewTokens: 20, temperature: 1, seed: 7 };
    const [first, second] = await Promise.all([
      collect(model.generate('Once upon a time', { maxNewTokens: 20 })),
      collect(model.generate('Once upon a time', seeded)),
    ]);
    expect(first.tokens).toEqual(alone.tokens);
    expect(second.tokens).toEqual((await collect(model.generate('Once upon a time', seeded))).tokens);
  });

  test('gives several answers, their probabilities and those of the prompt', async () => {
    const options = { n: 2, maxNewTokens: 4, ignoreEos: true, temperature: 1, seed: 7, logprobs: 1, promptLogprobs: 0 };
    const texts = ['', ''];
    const ends: string[] = [];
    for await (const event of model.generate('Once upon a time', options)) {
      if (event.type === 'prompt') {
        expect(ends).toEqual([]);
        expect(event.logprobs).toHaveLength(event.tokenIds.length);
        expect(event.logprobs?.[0]).toBeUndefined();
        expect(event.logprobs?.[1]?.logprob).toBeLessThan(0);
      } else if (event.type === 'token') {
        texts[event.choice] += event.text;
        expect(event.token.logprobs?.top).toHaveLength(1);
      } else ends.push(`${event.choice} ${event.finishReason}`);
    }
    expect(ends.sort()).toEqual(['0 length', '1 length']);
    expect(texts[0]).not.toBe(texts[1]);
    await until(isIdle);
  });

  test('frees the slot of a request when its loop is left', async () => {
    for await (const { type } of model.generate('Once', { maxNewTokens: 400, ignoreEos: true })) {
      expect(type).toBe('token');
      break;
    }
    await until(isIdle);
  });

  test('cancels a request when its signal aborts, and throws the reason', async () => {
    const controller = new AbortController();
    const reason = new Error('changed my mind');
    const events = model.generate('Once', { maxNewTokens: 400, ignoreEos: true, signal: controller.signal });
    await events.next();
    controller.abort(reason);
    await expect(async () => {
      for await (const _ of events);
    }).rejects.toBe(reason);
    await until(isIdle);
    await expect(model.generate('Once', { signal: controller.signal }).next()).rejects.toBe(reason);
  });

  test('does not throw the reason of a signal that aborts after the last event', async () => {
    const controller = new AbortController();
    const types: string[] = [];
    for await (const { type } of model.generate('Once', { maxNewTokens: 2, signal: controller.signal })) {
      types.push(type);
      if (type === 'finished') controller.abort();
    }
    expect(types).toEqual(['token', 'token', 'finished']);
  });

  test('yields nothing after its signal aborts, even if events are waiting', async () => {
    const controller = new AbortController();
    const events = model.generate('Once', { maxNewTokens: 3, signal: controller.signal });
    await events.next();
    await until(isIdle);
    controller.abort();
    await expect(events.next()).rejects.toBe(controller.signal.reason);
  });

  test('throws typed errors', async () => {
    const submit = (options: object, prompt: string | number[] = 'Once') => model.generate(prompt, options).next();
    await expect(submit({ maxNewTokens: 600 })).rejects.toThrow(ServingError);
    await expect(submit({ maxNewTokens: 600 })).rejects.toMatchObject({
      code: 'context_length_exceeded',
      param: 'maxNewTokens',
      message: expect.stringMatching(/^maxNewTokens is 600; it must be at most \d+: the prompt of/),
    });
    await expect(submit({ temperature: -1 })).rejects.toMatchObject({ code: 'invalid_request', param: 'temperature' });
    await expect(submit({}, [99_999])).rejects.toMatchObject({
      message: expect.stringMatching(/^prompt\[0\] is 99999, which is out of vocabulary;/),
    });
  });
});

test('failed steps are reported, whichever way their requests came', async () => {
  const code = `
    import { fastify } from 'fastify';
    import { loadModel, weftRoutes } from 'weft';
    const model = await loadModel(undefined, { onError: (error) => console.log(error.cause.message) });
    const app = fastify();
    await app.register(weftRoutes, { model });
    const { statusCode } = await app.inject({ method: 'POST', url: '/generate', payload: { prompt: [2, 777] } });
    console.log(statusCode);
    await model.close();`;
  const { exitCode, stdout, stderr } = await run(code, failingSteps).ended;
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  expect(stdout).toMatch(/^(a kernel gave up\n)+500\n$/);
});

test('closing a model ends open requests, and closing it again does nothing', async () => {
  const model = await loadModel(undefined, { cacheDir, maxBatchSize: 1 });
  const events = model.generate('Once', { maxNewTokens: 400, ignoreEos: true });
  await events.next();
  const closed = Promise.all([model.close(), model[Symbol.asyncDispose]()]);
  await expect(async () => {
    for await (const _ of events);
  }).rejects.toMatchObject({ code: 'unavailable', message: 'the model is closed' });
  await closed;
  await expect(model.generate('Once').next()).rejects.toMatchObject({
    code: 'unavailable',
    message: 'the model is closed',
  });
});

test('a model whose files are truncated refuses requests with the reason', async () => {
  const code = `
    import { readdir, truncate } from 'node:fs/promises';
    import path from 'node:path';
    import { setImmediate } from 'node:timers/promises';
    import { loadModel } from 'weft';
    const cacheDir = ${JSON.stringify(await temporaryFolder())};
    const model = await loadModel(undefined, { cacheDir });
    const files = await readdir(cacheDir, { recursive: true });
    const data = files.find((file) => path.basename(file) === ${JSON.stringify(dataFile)});
    await truncate(path.join(cacheDir, data), 10);
    while (model.generator.isReady) await setImmediate();
    await model.generate('Once').next().catch(({ code, message }) => console.log(code, message));`;
  const { stdout, exitCode } = await run(code).ended;
  expect(stdout).toMatch(/^unavailable .* was cut from \d+ to 10 bytes/);
  expect(exitCode).toBe(0);
});

describe('loading fails with a typed error:', () => {
  test.each<[string | undefined, object, string]>([
    [undefined, { maxBatchSize: 0 }, 'maxBatchSize is 0; it must be an integer from 1 to 1024'],
    [undefined, { maxModelLen: 513 }, 'maxModelLen is 513, but opt-stories supports at most 512 tokens'],
    [
      undefined,
      { precision: 'fp16' },
      'precision fp16 is not supported with device cpu, only fp32, int8, int8-fast: half precision is slow on a CPU',
    ],
    ['', {}, 'the name of the model is empty'],
  ])('%j %j', async (name, options, message) => {
    await expect(loadModel(name, { cacheDir, ...options })).rejects.toThrow(UserError);
    await expect(loadModel(name, { cacheDir, ...options })).rejects.toThrow(message);
  });

  test('no such model', async () => {
    await expect(loadModel('./nowhere', { cacheDir })).rejects.toThrow(ModelError);
  });
});

test('progress is reported while a graph is built', async () => {
  const tasks = new Set<string>();
  const model = await loadModel(undefined, {
    cacheDir: await temporaryFolder(),
    onProgress: ({ task }) => tasks.add(task),
  });
  onTestFinished(() => model.close());
  expect([...tasks]).toEqual(['reading the weights of opt-stories', 'building the graph of opt-stories']);
});
