import { describe, expect, onTestFinished, test } from 'vitest';
import { loadTokenizer } from '../../src/tokenizer/index.ts';
import { Client, type TokenData } from '../support/client.ts';
import { embeddedModel, expectedCases, reference, type StoryCase } from '../support/fixtures.ts';
import { serverForAllTests } from '../support/server.ts';
import { withSpecialTokens } from '../support/tokenizers.ts';
import { ServerProcess, slowSteps } from '../support/weft-process.ts';

const up = serverForAllTests();

/** Requests of many lengths. Every third one ignores the end of sequence. */
function someRequests(count: number, sampling: (i: number) => object) {
  const openings = ['Once upon a time', 'Tom', 'The big red ball', 'One day, a little girl named Sue', 'It was'];
  return Array.from({ length: count }, (_, i) => ({
    prompt: openings[i % openings.length] + ' and the cat'.repeat((i * 7) % 11),
    max_new_tokens: 1 + ((i * 29) % 60),
    ignore_eos: i % 3 === 0,
    ...sampling(i),
  }));
}

/** Starts requests one after another, paced by the tokens of a concurrent stream. */
async function startedBeside(client: Client, requests: readonly Record<string, unknown>[]) {
  const answers: Promise<{ token_ids: readonly number[] }>[] = [];
  const pending = [...requests];
  const metronome = client.stream({ prompt: 'Once', max_new_tokens: 150, ignore_eos: true });
  for await (const { event, data } of metronome) {
    if (event !== 'token') continue;
    const numStarting = ((JSON.parse(data) as TokenData).index * 7) % 5;
    for (const request of pending.splice(0, numStarting)) {
      answers.push(answers.length % 2 === 0 ? client.generate(request) : client.generateStreamed(request));
    }
  }
  expect(pending).toEqual([]);
  return Promise.all(answers);
}

describe('generates the same as Hugging Face transformers for the embedded model:', () => {
  const stories = expectedCases<StoryCase>(reference('opt-stories'));

  test.each(stories.map((story) => [story.prompt, story] as const))('%s', async (_, story) => {
    const expected = { text: story.text, token_ids: story.token_ids, finish_reason: story.finish_reason };
    const request = { prompt: story.prompt, max_new_tokens: 48 };
    expect(await up.client.generate(request)).toMatchObject(expected);
    expect(await up.client.generateStreamed(request)).toMatchObject(expected);
    expect(await up.client.generate({ ...request, prompt: story.prompt_token_ids })).toMatchObject(expected);
  });
});

describe('each of fifty requests that start at different times gets the same tokens as alone', () => {
  test.each([
    ['greedy', () => ({})],
    ['with a seed and temperature 1', (i: number) => ({ temperature: 1, seed: i })],
    ['with a seed, top-k and top-p', (i: number) => ({ temperature: 1.3, seed: i, top_k: 50, top_p: 0.9 })],
  ])('%s', async (_, sampling) => {
    const requests = someRequests(50, sampling);
    const alone = [];
    for (const request of requests) alone.push((await up.client.generate(request)).token_ids);
    const together = await startedBeside(up.client, requests);
    expect(together.map(({ token_ids: tokenIds }) => tokenIds)).toEqual(alone);
  });
});

test('a request sent while another one decodes shares its steps, and gets its first token before that one ends', async () => {
  const server = new ServerProcess([], slowSteps);
  onTestFinished(() => server.kill('SIGKILL'));
  const client = new Client(await server.url);
  const before = await client.health();
  const order: string[] = [];
  const follow = async (
    name: string,
    events: AsyncIterable<{ event?: string | undefined }>,
    onToken = (_: number) => {},
  ) => {
    let numTokens = 0;
    for await (const { event } of events) {
      if (event !== 'token') continue;
      numTokens++;
      order.push(name);
      onToken(numTokens);
    }
    return numTokens;
  };
  const options = { max_new_tokens: 400, ignore_eos: true };
  let second: Promise<number> | undefined;
  const first = follow('first', client.stream({ prompt: 'Once', ...options }), (numTokens) => {
    if (numTokens === 10) second = follow('second', client.stream({ prompt: 'Then', ...options }));
  });
  expect([await first, await second]).toEqual([400, 400]);
  expect(order.indexOf('second')).toBeGreaterThan(9);
  expect(order.indexOf('second')).toBeLessThan(order.lastIndexOf('first'));
  const { steps } = await client.health();
  expect(steps - before.steps).toBeGreaterThanOrEqual(400);
  expect(steps - before.steps).toBeLessThan(790);
});

describe('a reply', () => {
  test('counts every token in token_ids, including the end of sequence', async () => {
    const story = expectedCases<StoryCase>(reference('opt-stories')).find((each) => each.finish_reason === 'stop');
    const request = { prompt: story?.prompt ?? 'The end.', max_new_tokens: 300 };
    const reply = await up.client.generate(request);
    expect(reply.usage.completion_tokens).toBe(reply.token_ids.length);
    expect(reply.finish_reason).toBe('stop');
    expect(reply.token_ids.at(-1)).toBe(2);
    expect(reply.text).not.toContain('</s>');
    const events = [];
    for await (const { event, data } of up.client.stream(request)) if (event === 'token') events.push(JSON.parse(data));
    expect(events.map(({ index }) => index)).toEqual(reply.token_ids.map((_, i) => i));
    expect(events.at(-1)).toMatchObject({ token_id: 2, text: '' });
  });

  test('ends before a stop string', async () => {
    const whole = await up.client.generate({ prompt: 'Once upon a time', max_new_tokens: 30 });
    expect(whole.text).toContain('Lily');
    const stopped = await up.client.generate({
      prompt: 'Once upon a time',
      max_new_tokens: 30,
      stop: ['never', 'named Lily'],
    });
    expect(stopped).toMatchObject({
      text: whole.text.slice(0, whole.text.indexOf('named Lily')),
      finish_reason: 'stop',
    });
  });

  test('fills the context and ends there', async () => {
    const prompt = Array<number>(500).fill(100);
    const reply = await up.client.generate({ prompt, ignore_eos: true });
    expect(reply).toMatchObject({ finish_reason: 'length', usage: { prompt_tokens: 500, completion_tokens: 12 } });
    const response = await up.client.post({ prompt, max_new_tokens: 13 });
    expect(await response.json()).toMatchObject({
      error: {
        code: 'context_length_exceeded',
        param: 'max_new_tokens',
        message:
          'max_new_tokens is 13; it must be at most 12: the prompt of 500 tokens takes the rest of the context of 512',
      },
    });
  });

  test('to a long text, which is tokenized on another thread, is the same as to its token ids', async () => {
    const text = ' something'.repeat(300);
    const once = await up.client.generate({ prompt: ' something', max_new_tokens: 1 });
    expect(once.usage.prompt_tokens).toBe(2);
    const long = await up.client.generate({ prompt: text, max_new_tokens: 20, ignore_eos: true });
    expect(long.usage.prompt_tokens).toBe(301);
    const [, id] = await idsOf(' something');
    const byIds = await up.client.generate({
      prompt: [2, ...Array(300).fill(id)],
      max_new_tokens: 20,
      ignore_eos: true,
    });
    expect(byIds.token_ids).toEqual(long.token_ids);
  });
});

async function idsOf(text: string): Promise<readonly number[]> {
  const tokenizer = await loadTokenizer(embeddedModel);
  return tokenizer?.encode(text, withSpecialTokens) ?? [];
}
