import { describe, expect, test } from 'vitest';
import { startOpenai } from './openai-app.ts';

const card = {
  object: 'model',
  created: 1_700_000_000,
  owned_by: 'weft',
  root: 'facebook/opt-125m',
  parent: null,
  max_model_len: 100,
};

describe('models', () => {
  test('are the names of the model', async () => {
    const { app } = await startOpenai();
    expect((await app.inject('/v1/models')).json()).toEqual({
      object: 'list',
      data: [
        { id: 'facebook/opt-125m', ...card },
        { id: 'opt', ...card },
      ],
    });
  });

  test.each([
    ['opt', 'opt'],
    ['facebook/opt-125m', 'facebook/opt-125m'],
    ['facebook%2Fopt-125m', 'facebook/opt-125m'],
    ['facebook%2fopt%2D125m', 'facebook/opt-125m'],
    ['tgi', 'tgi'],
  ])('%s is found', async (name, id) => {
    const { app } = await startOpenai();
    expect((await app.inject(`/v1/models/${name}`)).json()).toEqual({ id, ...card });
  });

  test.each(['gpt-5', 'a/b', 'a%2Fb', ''])('"%s" is not found', async (name) => {
    const { app } = await startOpenai();
    const reply = await app.inject(`/v1/models/${name}`);
    expect(reply.statusCode).toBe(404);
    expect(reply.json().error).toMatchObject({ code: 'model_not_found', param: 'model' });
  });

  test('have no context length if it is not known', async () => {
    const { app } = await startOpenai({ maxModelLen: undefined });
    expect((await app.inject('/v1/models/opt')).json()).not.toHaveProperty('max_model_len');
  });
});

test('the version is that of the server', async () => {
  const { app } = await startOpenai();
  expect((await app.inject('/version')).json()).toEqual({ version: '1.2.3' });
});

describe('tokenize', () => {
  test.each([
    [{ prompt: 'Hello world' }, [0, 1, 2]],
    [{ prompt: 'Hello world', add_special_tokens: false, model: 'opt' }, [1, 2]],
    [{ prompt: '' }, [0]],
  ])('%j', async (body, tokens) => {
    const { tokenize } = await startOpenai();
    expect((await tokenize(body)).json()).toEqual({
      count: tokens.length,
      max_model_len: 100,
      tokens,
      token_strs: null,
    });
  });

  test('of text longer than the context', async () => {
    const { tokenize } = await startOpenai();
    expect((await tokenize({ prompt: '!'.repeat(200) })).json().count).toBe(201);
  });

  test('reports how the vocabulary spells tokens', async () => {
    const { tokenize } = await startOpenai();
    expect((await tokenize({ prompt: 'Hello world', return_token_strs: true })).json().token_strs).toEqual([
      '</s>',
      'Hello',
      'Ġworld',
    ]);
  });

  test('of messages renders them, and adds special tokens only if asked to', async () => {
    const { tokenize, template } = await startOpenai({ codec: lines });
    const body = { messages: [{ role: 'user', content: 'Hi' }], continue_final_message: true, chat_template: 't' };
    expect((await tokenize(body)).json().tokens).toEqual([7]);
    expect((await tokenize({ ...body, add_special_tokens: true })).json().tokens).toEqual([0, 7]);
    expect(template.calls[0]?.options).toMatchObject({ continueFinalMessage: true, template: 't' });
  });

  test.each([
    [{}, 400, 'prompt is missing; either it or messages must be set'],
    [{ prompt: null }, 400, 'prompt is missing; either it or messages must be set'],
    [
      { prompt: 'a', messages: [{ role: 'user', content: 'b' }] },
      400,
      'prompt and messages are both set; only one of them can be',
    ],
    [{ prompt: ['a'] }, 400, 'prompt is ["a"]; it must be a string'],
    [{ prompt: 'a', model: 'gpt-5' }, 404, /^The model `gpt-5` does not exist/],
  ])('%j is refused', async (body, status, message) => {
    const { tokenize } = await startOpenai();
    const reply = await tokenize(body);
    expect(reply.status).toBe(status);
    expect(reply.json().error.message).toMatch(message);
  });

  test('needs a tokenizer', async () => {
    const { tokenize, detokenize } = await startOpenai({ codec: undefined });
    const refusals = [
      { reply: await tokenize({ prompt: 'a' }), message: 'prompt cannot be tokenized', param: 'prompt' },
      {
        reply: await tokenize({ messages: [{ role: 'user', content: 'a' }] }),
        message: 'messages cannot be tokenized',
        param: 'messages',
      },
      { reply: await detokenize({ tokens: [1] }), message: 'tokens cannot be decoded', param: 'tokens' },
    ];
    for (const { reply, message, param } of refusals) {
      expect(reply.status).toBe(400);
      expect(reply.json().error).toMatchObject({ message: `${message}: this model has no tokenizer`, param });
    }
  });
});

describe('detokenize', () => {
  test.each([
    [[0, 1, 2], '</s>Hello world'],
    [[4, 5], '🚀'],
    [[], ''],
  ])('%j', async (tokens, prompt) => {
    const { detokenize } = await startOpenai();
    expect((await detokenize({ tokens })).json()).toEqual({ prompt });
  });

  test.each([
    [{}, 400, 'tokens is missing'],
    [{ tokens: [1, 9] }, 400, 'tokens[1] is 9, which is out of vocabulary; the 9 token ids of this model are 0 to 8'],
    [{ tokens: [-1] }, 400, 'tokens[0] is -1; it must be at least 0'],
    [{ tokens: ['a'] }, 400, 'tokens[0] is "a"; it must be an integer'],
    [{ tokens: [1], model: 'gpt-5' }, 404, /^The model/],
  ])('%j is refused', async (body, status, message) => {
    const { detokenize } = await startOpenai();
    const reply = await detokenize(body);
    expect(reply.status).toBe(status);
    expect(reply.json().error.message).toMatch(message);
  });
});

/** Every text is one token. */
const lines = {
  encode: async (_: string, { addSpecialTokens }: { readonly addSpecialTokens: boolean }) =>
    addSpecialTokens ? [0, 7] : [7],
  decode: () => '',
  bytesOf: () => new Uint8Array(),
  isSpecial: () => false,
  spellingOf: () => '',
};
