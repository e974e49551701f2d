import { describe, expect, test } from 'vitest';
import type { PromptEvent, TokenLogprobs } from '../../../../src/core/index.ts';
import { codecOf, dataOf, eventsOf, startOpenai } from './openai-app.ts';

const alone = (logprob: number): TokenLogprobs => ({ logprob, rank: 1, top: [] });

/** Ids 3 and 7 have the same text. */
const full: TokenLogprobs = {
  logprob: -1.5,
  rank: 3,
  top: [
    { id: 3, logprob: -0.5 },
    { id: 7, logprob: -1 },
    { id: 4, logprob: -1.5 },
    { id: 8, logprob: Number.NEGATIVE_INFINITY },
  ],
};

interface Lists {
  readonly tokens: readonly string[];
  readonly token_logprobs: readonly (number | null)[];
  readonly top_logprobs: readonly (Record<string, number> | null)[];
  readonly text_offset: readonly number[];
}

describe('completions', () => {
  test('name the token and the likeliest ones, none of which is lost', async () => {
    const { complete, generator } = await startOpenai();
    generator.events = eventsOf([{ ids: [4], logprobs: [full] }]);
    const reply = await complete({ prompt: 'Hello', logprobs: 4 });
    expect(reply.body).toContain('"__proto__":-9999');
    const { tokens, token_logprobs, top_logprobs, text_offset }: Lists = reply.json().choices[0].logprobs;
    expect(tokens).toEqual(['bytes:\\xf0\\x9f']);
    expect(token_logprobs).toEqual([-1.5]);
    expect(top_logprobs.map((top) => Object.entries(top ?? {}))).toEqual([
      [
        ['bytes:\\xf0\\x9f', -1.5],
        ['!', -0.5],
        ['token_id:7', -1],
        ['__proto__', -9999],
      ],
    ]);
    expect(text_offset).toEqual([0]);
  });

  test('of 0 likeliest tokens name the token alone', async () => {
    const { complete, generator } = await startOpenai();
    generator.events = eventsOf([{ ids: [1], logprobs: [alone(-2)] }]);
    expect((await complete({ prompt: 'Hello', logprobs: 0 })).json().choices[0].logprobs).toEqual({
      tokens: ['Hello'],
      token_logprobs: [-2],
      top_logprobs: [{ Hello: -2 }],
      text_offset: [0],
    });
  });

  test('can name tokens by their ids', async () => {
    const { complete, generator } = await startOpenai();
    generator.events = eventsOf([{ ids: [4], logprobs: [full] }]);
    const reply = await complete({ prompt: 'Hello', logprobs: 1, return_tokens_as_token_ids: true });
    expect(reply.json().choices[0].logprobs).toMatchObject({
      tokens: ['token_id:4'],
      top_logprobs: [{ 'token_id:4': -1.5, 'token_id:3': -0.5 }],
    });
  });

  test('name tokens by their ids if the model has no tokenizer', async () => {
    const { complete, generator } = await startOpenai({ codec: undefined, chat: undefined });
    generator.events = eventsOf([{ ids: [1, 2], logprobs: [alone(-1), alone(-2)] }]);
    expect((await complete({ prompt: [1], logprobs: 0 })).json().choices[0].logprobs).toMatchObject({
      tokens: ['token_id:1', 'token_id:2'],
      text_offset: [0, 0],
    });
  });

  const ids = [6, 4, 5, 2, 0];
  const logprobs = ids.map((_, index) => alone(-1 - index));
  const offsets = {
    tokens: ['é', 'bytes:\\xf0\\x9f', 'bytes:\\x9a\\x80', ' world', '</s>'],
    text_offset: [0, 1, 1, 2, 8],
  };

  test('have offsets in characters: every part of one has its offset, and hidden tokens have no length', async () => {
    const { complete, generator } = await startOpenai();
    generator.events = eventsOf([{ ids, logprobs }]);
    const [choice] = (await complete({ prompt: 'Hello', logprobs: 0 })).json().choices;
    expect(choice.text).toBe('é🚀 world');
    expect(choice.logprobs).toMatchObject(offsets);
  });

  test('have the same offsets in a stream', async () => {
    const { complete, generator } = await startOpenai();
    generator.events = eventsOf([{ ids, logprobs }]);
    const chunks = dataOf((await complete({ prompt: 'Hello', logprobs: 0, stream: true })).body);
    expect(chunks.slice(0, -1)).toMatchObject(
      ids.map((_, index) => ({
        choices: [
          {
            logprobs: {
              tokens: [offsets.tokens[index]],
              text_offset: [offsets.text_offset[index]],
              token_logprobs: [-1 - index],
            },
          },
        ],
      })),
    );
  });

  const prompt: PromptEvent = {
    type: 'prompt',
    prompt: 0,
    tokenIds: [0, 1, 4, 5],
    logprobs: [undefined, full, alone(-1), alone(-2)],
  };

  test.each([
    ['Hello🚀', [0, 0, 5, 5, 6]],
    [
      [0, 1, 4, 5],
      [0, 4, 9, 9, 10],
    ],
  ])('continue those of the echo of %j', async (given, textOffset) => {
    const { complete, generator } = await startOpenai();
    generator.events = eventsOf([{ ids: [3], logprobs: [alone(-3)] }], { prompts: [prompt] });
    const body = { prompt: given, logprobs: 1, echo: true };
    const expected = {
      tokens: ['</s>', 'Hello', 'bytes:\\xf0\\x9f', 'bytes:\\x9a\\x80', '!'],
      token_logprobs: [null, -1.5, -1, -2, -3],
      top_logprobs: [
        null,
        { Hello: -1.5, '!': -0.5 },
        { 'bytes:\\xf0\\x9f': -1 },
        { 'bytes:\\x9a\\x80': -2 },
        { '!': -3 },
      ],
      text_offset: textOffset,
    };
    expect((await complete(body)).json().choices[0].logprobs).toEqual(expected);
    const [chunk] = dataOf((await complete({ ...body, stream: true })).body);
    expect(chunk).toMatchObject({ choices: [{ logprobs: expected }] });
  });

  test('of max_tokens 0 are those of the echo, which answers do not share', async () => {
    const { complete, generator } = await startOpenai();
    generator.events = eventsOf(
      [
        { ids: [3], logprobs: [alone(-3)] },
        { ids: [3], logprobs: [alone(-3)] },
      ],
      {
        prompts: [prompt],
      },
    );
    const { choices } = (await complete({ prompt: 'Hello🚀', logprobs: 0, echo: true, max_tokens: 0, n: 2 })).json();
    for (const { logprobs } of choices) expect(logprobs.token_logprobs).toEqual([null, -1.5, -1, -2]);
  });

  test('of the prompt are reported as vLLM does, the asked number of them', async () => {
    const { complete, generator } = await startOpenai();
    generator.events = eventsOf([{ ids: [3], logprobs: [alone(-3)] }], { prompts: [prompt] });
    const reply = await complete({ prompt: 'Hello🚀', prompt_logprobs: 1, echo: true, logprobs: 2 });
    expect(reply.json().choices[0].prompt_logprobs.slice(0, 2)).toEqual([
      null,
      {
        1: { logprob: -1.5, rank: 3, decoded_token: 'Hello' },
        3: { logprob: -0.5, rank: 1, decoded_token: '!' },
      },
    ]);
  });

  test('of the prompt are written once, however many answers report them', async () => {
    let numLookups = 0;
    const codec = codecOf();
    const bytesOf = (id: number) => {
      numLookups++;
      return codec.bytesOf(id);
    };
    const lookupsFor = async (n: number) => {
      const { complete, generator } = await startOpenai({ codec: { ...codec, bytesOf } });
      generator.events = eventsOf(
        Array.from({ length: n }, () => ({ ids: [3] })),
        { prompts: [prompt] },
      );
      numLookups = 0;
      const reply = await complete({ prompt: [1, 2], n, prompt_logprobs: 2 });
      expect(reply.json().choices).toHaveLength(n);
      return numLookups;
    };
    expect(await lookupsFor(1)).toBeGreaterThan(0);
    expect(await lookupsFor(8)).toBe(await lookupsFor(1));
  });

  test('of a special token that the prompt itself spells count its length', async () => {
    const { complete, generator } = await startOpenai();
    const event: PromptEvent = { ...prompt, tokenIds: [1, 0, 3], logprobs: [undefined, alone(-1), alone(-2)] };
    generator.events = eventsOf([{ ids: [2], logprobs: [alone(-3)] }], { prompts: [event] });
    const reply = await complete({ prompt: 'Hello</s>!', echo: true, logprobs: 0 });
    expect(reply.json().choices[0].logprobs.text_offset).toEqual([0, 5, 9, 10]);
  });
});

describe('chats', () => {
  const body = { messages: [{ role: 'user', content: 'Hello' }], logprobs: true };
  const hello = { token: 'Hello', logprob: -2, bytes: [...Buffer.from('Hello')], top_logprobs: [] };
  const part = {
    token: 'bytes:\\xf0\\x9f',
    logprob: -1.5,
    bytes: [0xf0, 0x9f],
    top_logprobs: [
      { token: '!', logprob: -0.5, bytes: [0x21] },
      { token: '!', logprob: -1, bytes: [0x21] },
    ],
  };

  test('name tokens with their bytes and the likeliest ones', async () => {
    const { chat, generator } = await startOpenai();
    generator.events = eventsOf([{ ids: [1, 4], logprobs: [alone(-2), full] }]);
    const [choice] = (await chat({ ...body, top_logprobs: 2 })).json().choices;
    expect(choice.logprobs).toEqual({ content: [hello, part], refusal: null });
  });

  test('name the token of each chunk', async () => {
    const { chat, generator } = await startOpenai();
    generator.events = eventsOf([{ ids: [1, 4], logprobs: [alone(-2), full] }]);
    const chunks = dataOf((await chat({ ...body, top_logprobs: 2, stream: true })).body);
    expect(chunks).toMatchObject([
      { choices: [{ logprobs: { content: [hello], refusal: null } }] },
      { choices: [{ logprobs: { content: [part], refusal: null } }] },
      { choices: [{ logprobs: null, finish_reason: 'length' }] },
      '[DONE]',
    ]);
  });

  test('without likeliest tokens have an empty list', async () => {
    const { chat, generator } = await startOpenai({ codec: codecOf() });
    generator.events = eventsOf([{ ids: [1], logprobs: [full] }]);
    const [choice] = (await chat(body)).json().choices;
    expect(choice.logprobs.content).toMatchObject([{ top_logprobs: [] }]);
  });
});
