import { describe, expect, test } from 'vitest';
import { seededRandom } from '../../src/load/index.ts';
import { chat, completions, messagesOf, type TestedDialect, tgi, type Wish, weft } from '../support/dialects.ts';
import { fetched, send } from '../support/exchange.ts';
import { serverForAllTests } from '../support/server.ts';
import { someWishes, stoppedIn } from '../support/wishes.ts';

const up = serverForAllTests(['--log-level', 'error']);

/** Applies a function to all items, a few at a time. */
async function forEach<T>(items: readonly T[], act: (item: T) => Promise<void>): Promise<void> {
  const rest = [...items];
  const work = async () => {
    for (let item = rest.shift(); item !== undefined; item = rest.shift()) await act(item);
  };
  await Promise.all(Array.from({ length: 8 }, work));
}

describe('for 200 random sets of parameters', () => {
  const random = seededRandom(2);
  const wishes = someWishes(200).map((wish) => ({ wish, place: random() }));

  /** The wish, in half of the cases with a stop string out of its own answer. */
  const chosen = async ({ wish, place }: (typeof wishes)[number], dialect: TestedDialect): Promise<Wish> => {
    if (place < 0.5) return wish;
    const [answer] = await dialect.whole(up.client.url, wish);
    return stoppedIn(answer?.text ?? '', wish, 2 * place - 1);
  };

  test('all dialects give equal answers, and the parts of a stream add up to the whole', async () => {
    const seen = { tgi: 0, stopped: 0, emoji: 0, partial: 0, several: 0 };
    await forEach(wishes, async (each) => {
      const wish = await chosen(each, weft);
      const { url } = up.client;
      const expected = await weft.whole(url, wish);
      expect(await weft.streamed(url, wish), JSON.stringify(wish)).toEqual(expected);
      for (const dialect of [completions, tgi].filter(({ takes }) => takes(wish))) {
        const context = `${dialect.name} ${JSON.stringify(wish)}`;
        expect(await dialect.whole(url, wish), context).toEqual(expected);
        expect(await dialect.streamed(url, wish), context).toEqual(expected);
      }
      const texts = expected.map(({ text }) => text);
      if (tgi.takes(wish)) seen.tgi++;
      if (wish.stop.length > 0 && expected.some(({ finish }) => finish === 'stop')) seen.stopped++;
      if (texts.some((text) => /[🦊😀€]/u.test(text))) seen.emoji++;
      if (texts.some((text) => text.includes('\ufffd'))) seen.partial++;
      if (expected.length > 1) seen.several++;
    });
    // The sets were of every kind.
    for (const count of Object.values(seen)) expect(count, JSON.stringify(seen)).toBeGreaterThan(10);
  });

  test('a chat gets the answer to its prompt as Weft has it, whole and streamed', async () => {
    await forEach(wishes, async (each) => {
      const wish = await chosen(each, chat);
      const { url } = up.client;
      const { tokens } = await fetched(`${url}/tokenize`, { messages: messagesOf(wish) });
      const expected = await weft.whole(url, { ...wish, prompt: tokens });
      expect(await chat.whole(url, wish), JSON.stringify(wish)).toEqual(expected);
      expect(await chat.streamed(url, wish), JSON.stringify(wish)).toEqual(expected);
    });
  });
});

describe('whatever else is in the batch', () => {
  const penalties = { repetition_penalty: 1.2, presence_penalty: 0.5, frequency_penalty: 0.3 };
  const sampled = { ...penalties, temperature: 1, top_k: 100, min_p: 0.01, logprobs: 5 };

  test('a seeded request gets the same answer 100 times among 49 unseeded neighbours', async () => {
    const seeded = { ...sampled, prompt: 'Once upon a time', max_new_tokens: 8, seed: 7 };
    const answer = async () => {
      const { text, token_ids: tokenIds, logprobs } = await fetched(`${up.client.url}/generate`, seeded);
      return { text, tokenIds, logprobs };
    };
    const alone = await answer();
    const neighbours = { done: false, numAnswers: 0 };
    const neighbour = async (i: number) => {
      for (let n = 0; !neighbours.done; n++) {
        const prompt = `The ${'big '.repeat((i + n) % 9)}dog`;
        await fetched(`${up.client.url}/generate`, { ...sampled, prompt, max_new_tokens: 5 + ((i * 7 + n) % 30) });
        neighbours.numAnswers++;
      }
    };
    const all = Array.from({ length: 49 }, (_, i) => neighbour(i));
    await up.client.until(({ running }) => running > 40);
    for (let time = 0; time < 100; time++) expect(await answer()).toEqual(alone);
    neighbours.done = true;
    await Promise.all(all);
    expect(neighbours.numAnswers).toBeGreaterThan(100);
  });

  test('log probabilities of prompts and answers are bit for bit the same alone and among 32', async () => {
    const requests = Array.from({ length: 32 }, (_, i) => ({
      prompt: `The ${'little '.repeat(i % 11)}mouse number ${i}`,
      max_new_tokens: 4 + (i % 9),
      ignore_eos: true,
      logprobs: 3,
      prompt_logprobs: 3,
      ...(i % 2 === 1 && { ...penalties, temperature: 1, seed: i }),
    }));
    const answer = async (request: object) => {
      const { token_ids: tokenIds, logprobs, prompt } = await fetched(`${up.client.url}/generate`, request);
      return { tokenIds, logprobs, prompt };
    };
    const alone = [];
    for (const request of requests) alone.push(await answer(request));
    expect(alone[0]?.logprobs[0].top).toHaveLength(3);
    expect(alone[0]?.prompt.logprobs[1].top).toHaveLength(3);
    expect(await Promise.all(requests.map(answer))).toEqual(alone);
  });
});

describe('a limit is refused by name and number', () => {
  const stops = Array.from({ length: 10_000 }, (_, i) => `stop ${i}`);
  const weftBody = (change: object) => ({ prompt: 'Once', max_new_tokens: 1, ...change });
  const completion = (change: object) => ({ prompt: 'Once', max_tokens: 1, ...change });
  const chatBody = (change: object) => ({ messages: [{ role: 'user', content: 'Hi' }], max_tokens: 1, ...change });
  const tgiBody = (change: object) => ({ inputs: 'Once', parameters: { max_new_tokens: 1, ...change } });

  const refused: readonly (readonly [url: string, body: object, ...words: RegExp[]])[] = [
    ['/generate', weftBody({ n: 51 }), /\bn\b/, /51/, /50/],
    ['/generate', weftBody({ logprobs: 21 }), /logprobs/, /21/, /20/],
    ['/generate', weftBody({ prompt_logprobs: 21 }), /prompt_logprobs/, /21/, /20/],
    ['/generate', weftBody({ logit_bias: { 3072: 1 } }), /logit_bias/, /3072/],
    ['/generate', weftBody({ logit_bias: { 5: 101 } }), /logit_bias/, /101/, /100/],
    ['/generate', weftBody({ allowed_token_ids: [3072] }), /allowed_token_ids/, /3072/],
    ['/generate', weftBody({ stop_token_ids: [3072] }), /stop_token_ids/, /3072/],
    ['/generate', weftBody({ prompt: [] }), /prompt/],
    ['/generate', weftBody({ prompt: [2, 3072] }), /prompt/, /3072/],
    ['/generate', weftBody({ stop: stops }), /stop/, /10000|64/],
    ['/generate', weftBody({ max_new_tokens: 512 }), /max_new_tokens/, /512/],
    ['/v1/completions', completion({ n: 51 }), /\bn\b/, /51/, /50/],
    ['/v1/completions', completion({ best_of: 51 }), /best_of/, /51/, /50/],
    ['/v1/completions', completion({ logprobs: 21 }), /logprobs/, /21/, /20/],
    ['/v1/completions', completion({ prompt_logprobs: 21 }), /prompt_logprobs/, /21/, /20/],
    ['/v1/completions', completion({ logit_bias: { 3072: 1 } }), /logit_bias/, /3072/],
    ['/v1/completions', completion({ prompt: [] }), /prompt/],
    ['/v1/completions', completion({ prompt: [[]] }), /prompt/],
    ['/v1/completions', completion({ stop: stops }), /stop/, /10000|64/],
    ['/v1/completions', completion({ max_tokens: 512 }), /max_tokens/, /512/],
    ['/v1/completions', completion({ temperature: 2.1 }), /temperature/, /2\.1/, /2\b/],
    ['/v1/chat/completions', chatBody({ n: 51 }), /\bn\b/, /51/, /50/],
    ['/v1/chat/completions', chatBody({ logprobs: true, top_logprobs: 21 }), /top_logprobs/, /21/, /20/],
    ['/v1/chat/completions', chatBody({ logit_bias: { 3072: 1 } }), /logit_bias/, /3072/],
    ['/v1/chat/completions', chatBody({ messages: [] }), /messages/],
    ['/v1/chat/completions', chatBody({ stop: stops }), /stop/, /10000|64/],
    ['/generate', tgiBody({ best_of: 51, do_sample: true }), /best_of/, /51/, /50/],
    ['/generate', tgiBody({ top_n_tokens: 21 }), /top_n_tokens/, /21/, /20/],
    ['/generate', tgiBody({ stop: stops }), /stop/, /10000|64/],
    ['/generate', tgiBody({ max_new_tokens: 512 }), /max_new_tokens/, /512/],
    ['/generate', { inputs: '' }, /inputs/],
  ];

  const titled = refused.map(([url, body, ...words]) => ({
    title: `${url} ${JSON.stringify(body).slice(0, 80)}`,
    ...{ url, body, words },
  }));

  test.each(titled)('$title', async ({ url, body, words }) => {
    const { status, text, body: reply } = await send(up.client.url + url, body);
    expect(status, text).toBe('inputs' in body ? 422 : 400);
    const message = reply.error.message ?? reply.error;
    for (const word of words) expect(message).toMatch(word);
    expect(Buffer.byteLength(text)).toBeLessThan(2000);
  });

  const long = 'x\u0000"\\😀'.repeat(20_000);

  test.each<[url: string, body: object]>([
    ['/generate', { prompt: 'x', [long]: 1 }],
    ['/generate', { prompt: 'x', temperature: long }],
    ['/generate', { prompt: 'x', inputs: long }],
    ['/generate', { inputs: 'x', parameters: { best_of: long } }],
    ['/v1/completions', { prompt: 'x', model: long }],
    ['/v1/completions', { prompt: 'x', stop: [long, long] }],
    ['/v1/completions', { prompt: 'x', logit_bias: { [long]: 1 } }],
    ['/v1/completions', { prompt: 'x', response_format: long }],
    ['/v1/chat/completions', { messages: [{ role: long, content: { [long]: long } }] }],
    [
      '/v1/chat/completions',
      { messages: [{ role: 'user', content: 'x' }], chat_template: `{{ raise_exception(${JSON.stringify(long)}) }}` },
    ],
    ['/tokenize', { prompt: 1, [long]: long }],
    ['/detokenize', { tokens: [long] }],
    [`/nowhere/${'x'.repeat(10_000)}`, {}],
  ])('an error body is under 2 kB, %#', async (url, body) => {
    const { status, text } = await send(up.client.url + url, body);
    expect(status).toBeGreaterThanOrEqual(400);
    expect(status).toBeLessThan(500);
    expect(Buffer.byteLength(text)).toBeLessThan(2000);
  });
});
