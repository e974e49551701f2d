import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { EngineError, type PromptEvent } from '../../../../src/core/index.ts';
import { dataOf, eventsOf, startOpenai } from './openai-app.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: 1_800_000_000_500 });
  onTestFinished(() => void vi.useRealTimers());
});

const head = {
  id: 'chatcmpl-abc',
  created: 1_800_000_000,
  model: 'facebook/opt-125m',
  system_fingerprint: 'weft-1.2.3',
};
const chunk = { ...head, object: 'chat.completion.chunk' };
const body = { messages: [{ role: 'user', content: 'Hello' }] };
const open = { logprobs: null, finish_reason: null, stop_reason: null };
const prompt: PromptEvent = { type: 'prompt', prompt: 0, tokenIds: [0, 1] };

describe('a whole reply', () => {
  test('has a message per answer', async () => {
    const { chat, generator } = await startOpenai();
    generator.events = eventsOf([{ ids: [1, 2] }, { ids: [3, 0], finishReason: 'stop' }]);
    const choice = { logprobs: null, stop_reason: null, token_ids: null };
    expect((await chat({ ...body, n: 2 })).json()).toEqual({
      ...head,
      object: 'chat.completion',
      choices: [
        {
          ...choice,
          index: 0,
          message: { role: 'assistant', content: 'Hello world', refusal: null },
          finish_reason: 'length',
        },
        { ...choice, index: 1, message: { role: 'assistant', content: '!', refusal: null }, finish_reason: 'stop' },
      ],
      usage: { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 },
      prompt_logprobs: null,
      prompt_token_ids: null,
    });
  });

  test('has token ids and log probabilities of the prompt if they are asked for', async () => {
    const { chat, generator } = await startOpenai();
    const known = { logprob: -2, rank: 3, top: [{ id: 3, logprob: -0.5 }] };
    const prompts: PromptEvent[] = [{ ...prompt, logprobs: [undefined, known] }];
    generator.events = eventsOf([{ ids: [1, 2], finishReason: 'stop', stopReason: ' world' }], { prompts });
    expect((await chat({ ...body, return_token_ids: true, prompt_logprobs: 1 })).json()).toMatchObject({
      choices: [{ token_ids: [1, 2], stop_reason: ' world' }],
      prompt_token_ids: [0, 1],
      prompt_logprobs: [
        null,
        {
          1: { logprob: -2, rank: 3, decoded_token: 'Hello' },
          3: { logprob: -0.5, rank: 1, decoded_token: '!' },
        },
      ],
    });
  });
});

describe('a stream', () => {
  const stream = { ...body, stream: true };

  test('sends the role with the first token and the finish reason after the last', async () => {
    const { chat, generator } = await startOpenai();
    generator.events = eventsOf([{ ids: [4, 5, 2], finishReason: 'stop', stopReason: 2 }]);
    expect(dataOf((await chat(stream)).body)).toEqual([
      { ...chunk, choices: [{ ...open, index: 0, delta: { role: 'assistant', content: '' } }] },
      { ...chunk, choices: [{ ...open, index: 0, delta: { content: '🚀' } }] },
      { ...chunk, choices: [{ ...open, index: 0, delta: { content: ' world' } }] },
      { ...chunk, choices: [{ ...open, index: 0, delta: {}, finish_reason: 'stop', stop_reason: 2 }] },
      '[DONE]',
    ]);
  });

  test('with usage and ids', async () => {
    const { chat, generator } = await startOpenai();
    generator.events = eventsOf([{ ids: [1] }, { ids: [2] }], { prompts: [prompt] });
    const { body } = await chat({ ...stream, n: 2, return_token_ids: true, stream_options: { include_usage: true } });
    expect(dataOf(body)).toEqual([
      {
        ...chunk,
        choices: [{ ...open, index: 0, delta: { role: 'assistant', content: 'Hello' }, token_ids: [1] }],
        usage: null,
        prompt_token_ids: [0, 1],
      },
      { ...chunk, choices: [{ ...open, index: 0, delta: {}, finish_reason: 'length' }], usage: null },
      {
        ...chunk,
        choices: [{ ...open, index: 1, delta: { role: 'assistant', content: ' world' }, token_ids: [2] }],
        usage: null,
      },
      { ...chunk, choices: [{ ...open, index: 1, delta: {}, finish_reason: 'length' }], usage: null },
      { ...chunk, choices: [], usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 } },
      '[DONE]',
    ]);
  });

  test('with continuous usage', async () => {
    const { chat, generator } = await startOpenai();
    generator.events = eventsOf([{ ids: [1, 2] }], { prompts: [prompt], promptTokens: 2 });
    const options = { include_usage: true, continuous_usage_stats: true };
    const chunks = dataOf((await chat({ ...stream, stream_options: options })).body);
    expect(chunks).toMatchObject([
      { usage: { prompt_tokens: 2, completion_tokens: 1, total_tokens: 3 } },
      { usage: { prompt_tokens: 2, completion_tokens: 2, total_tokens: 4 } },
      { usage: { prompt_tokens: 2, completion_tokens: 2, total_tokens: 4 } },
      { choices: [], usage: { prompt_tokens: 2, completion_tokens: 2, total_tokens: 4 } },
      '[DONE]',
    ]);
  });

  test('that fails ends with an error', async () => {
    const { chat, generator } = await startOpenai();
    generator.events = [{ type: 'error', error: new EngineError('oh') }];
    expect(dataOf((await chat(stream)).body)).toEqual([
      { error: { message: 'oh', type: 'server_error', param: null, code: 'engine_failed' } },
      '[DONE]',
    ]);
  });
});

describe('the template', () => {
  test('gets messages with their content as text, and their further fields', async () => {
    const { chat, template } = await startOpenai();
    await chat({
      messages: [
        {
          role: 'developer',
          content: [
            { type: 'text', text: 'Be' },
            { type: 'text', text: 'kind.' },
          ],
        },
        { role: 'user', content: 'Hi', name: 'Ann' },
        { role: 'assistant', content: null, tool_calls: [{ id: '1' }] },
        { role: 'assistant', tool_calls: [] },
        { role: 'tool', content: 'ok', tool_call_id: '1' },
        { role: 'narrator', content: '' },
      ],
    });
    expect(template.calls).toEqual([
      {
        messages: [
          { role: 'developer', content: 'Be\nkind.' },
          { role: 'user', content: 'Hi', name: 'Ann' },
          { role: 'assistant', content: null, tool_calls: [{ id: '1' }] },
          { role: 'assistant', content: null, tool_calls: [] },
          { role: 'tool', content: 'ok', tool_call_id: '1' },
          { role: 'narrator', content: '' },
        ],
        options: { addGenerationPrompt: true, continueFinalMessage: false, template: undefined, variables: {} },
      },
    ]);
  });

  test.each([
    [{ add_generation_prompt: false }, { addGenerationPrompt: false, continueFinalMessage: false }],
    [{ continue_final_message: true }, { addGenerationPrompt: false, continueFinalMessage: true }],
    [{ chat_template: '{{ messages }}' }, { template: '{{ messages }}' }],
    [{ chat_template_kwargs: { a: 1 } }, { variables: { a: 1 } }],
    [
      { documents: [{ title: 't' }], reasoning_effort: 'low' },
      { variables: { documents: [{ title: 't' }], reasoning_effort: 'low' } },
    ],
    [
      { reasoning_effort: 'low', chat_template_kwargs: { reasoning_effort: 'high' } },
      { variables: { reasoning_effort: 'high' } },
    ],
  ])('gets %j', async (fields, options) => {
    const { chat, template } = await startOpenai();
    await chat({ ...body, ...fields });
    expect(template.calls).toMatchObject([{ options }]);
  });

  test('is missing if the model has no tokenizer', async () => {
    const { chat } = await startOpenai({ codec: undefined, chat: undefined });
    const reply = await chat(body);
    expect(reply.status).toBe(400);
    expect(reply.json().error).toMatchObject({
      message: 'messages need a tokenizer, which this model does not have',
      param: 'messages',
    });
  });
});

describe('echo', () => {
  const continued = [
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: 'Hello' },
  ];

  test.each([
    [continued, { continue_final_message: true }, 'assistant', 'Hello world!'],
    [continued, {}, 'assistant', 'Hello world!'],
    [[{ role: 'user', content: 'Hello' }], {}, 'assistant', ' world!'],
    [[{ role: 'user', content: 'Hello' }], { add_generation_prompt: false }, 'user', 'Hello world!'],
    [[{ role: 'assistant', content: null }], { continue_final_message: true }, 'assistant', ' world!'],
  ])('%j, %j', async (messages, fields, role, content) => {
    const { chat, generator } = await startOpenai();
    generator.events = eventsOf([{ ids: [2, 3] }]);
    const [choice] = (await chat({ messages, ...fields, echo: true })).json().choices;
    expect(choice.message).toEqual({ role, content, refusal: null });
    const chunks = dataOf((await chat({ messages, ...fields, echo: true, stream: true })).body);
    expect(chunks).toMatchObject([
      { choices: [{ delta: { role, content: content.slice(0, -1) } }] },
      { choices: [{ delta: { content: '!' } }] },
      { choices: [{ delta: {} }] },
      '[DONE]',
    ]);
  });
});
