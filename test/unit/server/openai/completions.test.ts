import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { EngineError, type PromptEvent } from '../../../../src/core/index.ts';
import { dataOf, eventsOf, startOpenai } from './openai-app.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'], now: 1_800_000_000_500 });
  onTestFinished(() => void vi.useRealTimers());
});

const head = {
  id: 'cmpl-abc',
  object: 'text_completion',
  created: 1_800_000_000,
  model: 'facebook/opt-125m',
  system_fingerprint: 'weft-1.2.3',
};
const body = { prompt: 'Hello', temperature: 0 };
const open = { logprobs: null, finish_reason: null, stop_reason: null };
const choice = { ...open, prompt_logprobs: null, prompt_token_ids: null, token_ids: null };
const prompt: PromptEvent = { type: 'prompt', prompt: 0, tokenIds: [0, 1] };

describe('a whole reply', () => {
  test('has the text, the finish reason and the usage', async () => {
    const { complete, generator } = await startOpenai();
    generator.events = eventsOf([{ ids: [1, 2, 0], finishReason: 'stop' }]);
    expect((await complete(body)).json()).toEqual({
      ...head,
      choices: [{ ...choice, index: 0, text: 'Hello world', finish_reason: 'stop' }],
      usage: { prompt_tokens: 3, completion_tokens: 3, total_tokens: 6 },
    });
  });

  test('has the first name of the model, whichever the request uses', async () => {
    const { complete, model } = await startOpenai();
    expect(model.names.length).toBeGreaterThan(1);
    for (const name of model.names) expect((await complete({ ...body, model: name })).json().model).toBe(model.name);
  });

  test('has n answers to every prompt, whose tokens count once', async () => {
    const { complete, generator } = await startOpenai();
    generator.events = eventsOf([
      { ids: [1] },
      { ids: [2] },
      { ids: [3] },
      { ids: [6], finishReason: 'stop', stopReason: 6 },
    ]);
    const reply = (await complete({ ...body, prompt: ['Hello', 'é'], n: 2 })).json();
    expect(reply.choices).toEqual([
      { ...choice, index: 0, text: 'Hello', finish_reason: 'length' },
      { ...choice, index: 1, text: ' world', finish_reason: 'length' },
      { ...choice, index: 2, text: '!', finish_reason: 'length' },
      { ...choice, index: 3, text: 'é', finish_reason: 'stop', stop_reason: 6 },
    ]);
    expect(reply.usage).toEqual({ prompt_tokens: 6, completion_tokens: 4, total_tokens: 10 });
  });

  test('of best_of has the n likeliest answers to each prompt, the best first, and all tokens in the usage', async () => {
    const { complete, generator } = await startOpenai();
    const logprobs = (...values: number[]) => values.map((logprob) => ({ logprob, rank: 1, top: [] }));
    generator.events = eventsOf([
      { ids: [1, 1], logprobs: logprobs(-1, -3) },
      { ids: [2], logprobs: logprobs(-3) },
      { ids: [3, 3, 3, 3], logprobs: logprobs(-1, -1, -1, -1) },
      { ids: [6], logprobs: logprobs(-9) },
      { ids: [1], logprobs: logprobs(-8) },
      { ids: [2], logprobs: logprobs(-7) },
    ]);
    const reply = (await complete({ ...body, prompt: ['Hello', 'é'], n: 2, best_of: 3 })).json();
    expect(reply.choices.map(({ index, text, logprobs }: typeof reply) => [index, text, logprobs])).toEqual([
      [0, '!!!!', null],
      [1, 'HelloHello', null],
      [2, ' world', null],
      [3, 'Hello', null],
    ]);
    expect(reply.usage).toEqual({ prompt_tokens: 6, completion_tokens: 10, total_tokens: 16 });
    expect(generator.requests[0]).toMatchObject({ n: 3, numLogprobs: 0 });
  });

  test('with echo begins with the prompt as it was sent', async () => {
    const { complete, generator } = await startOpenai();
    generator.events = eventsOf([{ ids: [2] }], { prompts: [prompt] });
    const { choices } = (await complete({ ...body, echo: true, return_token_ids: true })).json();
    expect(choices).toEqual([
      { ...choice, index: 0, text: 'Hello world', finish_reason: 'length', prompt_token_ids: [0, 1], token_ids: [2] },
    ]);
  });

  test('with echo and token ids begins with their text', async () => {
    const { complete, generator } = await startOpenai();
    generator.events = eventsOf([{ ids: [2] }], { prompts: [prompt] });
    expect((await complete({ prompt: [0, 1], echo: true })).json().choices[0].text).toBe('</s>Hello world');
  });

  test('with echo has what truncation has left of the prompt', async () => {
    const { complete, generator } = await startOpenai();
    generator.events = eventsOf([{ ids: [2] }], { prompts: [{ ...prompt, tokenIds: [3] }] });
    const reply = await complete({ prompt: 'Hello!', echo: true, truncate_prompt_tokens: 1 });
    expect(reply.json().choices[0].text).toBe('! world');
  });

  test('with echo and max_tokens 0 is the prompt alone', async () => {
    const { complete, generator } = await startOpenai();
    generator.events = eventsOf([{ ids: [0], finishReason: 'stop', stopReason: 0 }], { prompts: [prompt] });
    const reply = (await complete({ ...body, echo: true, max_tokens: 0, return_token_ids: true })).json();
    expect(reply.choices).toEqual([
      { ...choice, index: 0, text: 'Hello', finish_reason: 'length', prompt_token_ids: [0, 1], token_ids: [] },
    ]);
    expect(reply.usage).toEqual({ prompt_tokens: 3, completion_tokens: 0, total_tokens: 3 });
    expect(generator.requests[0]).toMatchObject({ maxNewTokens: 1, reportPrompt: true });
  });
});

describe('a stream', () => {
  const stream = { ...body, stream: true };

  test('has one chunk per token, the last one with the finish reason', async () => {
    const { complete, generator } = await startOpenai();
    generator.events = eventsOf([{ ids: [1, 4, 5, 0], finishReason: 'stop' }]);
    expect(dataOf((await complete(stream)).body)).toEqual([
      { ...head, choices: [{ ...open, index: 0, text: 'Hello' }] },
      { ...head, choices: [{ ...open, index: 0, text: '' }] },
      { ...head, choices: [{ ...open, index: 0, text: '🚀' }] },
      { ...head, choices: [{ ...open, index: 0, text: '', finish_reason: 'stop' }] },
      '[DONE]',
    ]);
  });

  test('with usage has null in all chunks but one more', async () => {
    const { complete, generator } = await startOpenai();
    generator.events = eventsOf([{ ids: [1, 2] }]);
    expect(dataOf((await complete({ ...stream, stream_options: { include_usage: true } })).body)).toEqual([
      { ...head, choices: [{ ...open, index: 0, text: 'Hello' }], usage: null },
      { ...head, choices: [{ ...open, index: 0, text: ' world', finish_reason: 'length' }], usage: null },
      { ...head, choices: [], usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 } },
      '[DONE]',
    ]);
  });

  test('with continuous usage has that of its choice in every chunk', async () => {
    const { complete, generator } = await startOpenai();
    generator.events = eventsOf([{ ids: [1, 2] }, { ids: [3] }], { prompts: [prompt], promptTokens: 2 });
    const options = { include_usage: true, continuous_usage_stats: true };
    const chunks = dataOf((await complete({ ...stream, n: 2, stream_options: options })).body);
    expect(chunks).toMatchObject([
      { choices: [{ index: 0 }], usage: { prompt_tokens: 2, completion_tokens: 1, total_tokens: 3 } },
      { choices: [{ index: 1 }], usage: { prompt_tokens: 2, completion_tokens: 1, total_tokens: 3 } },
      { choices: [{ index: 0 }], usage: { prompt_tokens: 2, completion_tokens: 2, total_tokens: 4 } },
      { choices: [], usage: { prompt_tokens: 2, completion_tokens: 3, total_tokens: 5 } },
      '[DONE]',
    ]);
    expect(generator.requests[0]?.reportPrompt).toBe(true);
  });

  test('has no usage if only its continuous form is asked for', async () => {
    const { complete, generator } = await startOpenai();
    generator.events = eventsOf([{ ids: [1] }]);
    const [chunk] = dataOf((await complete({ ...stream, stream_options: { continuous_usage_stats: true } })).body);
    expect(chunk).toEqual({ ...head, choices: [{ ...open, index: 0, text: 'Hello', finish_reason: 'length' }] });
  });

  test('with echo and ids has the prompt in the first chunk of each answer', async () => {
    const { complete, generator } = await startOpenai();
    generator.events = eventsOf([{ ids: [1, 2] }, { ids: [3] }], { prompts: [prompt] });
    const { body } = await complete({ ...stream, n: 2, echo: true, return_token_ids: true });
    expect(dataOf(body)).toEqual([
      { ...head, choices: [{ ...open, index: 0, text: 'HelloHello', prompt_token_ids: [0, 1], token_ids: [1] }] },
      {
        ...head,
        choices: [
          { ...open, index: 1, text: 'Hello!', finish_reason: 'length', prompt_token_ids: [0, 1], token_ids: [3] },
        ],
      },
      { ...head, choices: [{ ...open, index: 0, text: ' world', finish_reason: 'length', token_ids: [2] }] },
      '[DONE]',
    ]);
  });

  test('with echo and max_tokens 0 is one chunk with the prompt', async () => {
    const { complete, generator } = await startOpenai();
    generator.events = eventsOf([{ ids: [2] }], { prompts: [prompt] });
    expect(dataOf((await complete({ ...stream, echo: true, max_tokens: 0 })).body)).toEqual([
      { ...head, choices: [{ ...open, index: 0, text: 'Hello', finish_reason: 'length' }] },
      '[DONE]',
    ]);
  });

  test('that fails ends with an error', async () => {
    const { complete, generator } = await startOpenai();
    generator.events = [...eventsOf([{ ids: [1, 2] }]).slice(0, 1), { type: 'error', error: new EngineError('oh') }];
    const [, error, end] = dataOf((await complete(stream)).body);
    expect(error).toEqual({ error: { message: 'oh', type: 'server_error', param: null, code: 'engine_failed' } });
    expect(end).toBe('[DONE]');
  });
});
