import { describe, expect, test } from 'vitest';
import { EngineError, type GenerationEvent, type TokenLogprobs } from '../../../../src/core/index.ts';
import { generateRoute } from '../../../../src/server/dialects/weft/index.ts';
import { eventsOf, startRoutes } from '../../../support/dialect-app.ts';

const timings = { tokenizeMs: 0.5, queueMs: 1, prefillMs: 2, decodeMs: 3, detokenizeMs: 0.25 };
const logprobs: TokenLogprobs = { logprob: -0.5, rank: 2, top: [{ id: 6, logprob: -0.25 }] };
const shownLogprobs = { logprob: -0.5, rank: 2, top: [{ token_id: 6, logprob: -0.25 }] };

const token = (choice: number, text: string, isLast = false): GenerationEvent => ({
  type: 'token',
  choice,
  index: isLast ? 1 : 0,
  token: { id: 5 + choice },
  text,
  isLast,
});

const finished = (choice: number, { promptTokens = 3, decodeMs = 3 } = {}): GenerationEvent => ({
  type: 'finished',
  choice,
  finishReason: choice === 0 ? 'stop' : 'length',
  usage: { promptTokens, completionTokens: 2 },
  timings: { ...timings, decodeMs },
});

const shownTimings = {
  receive_ms: expect.any(Number),
  validate_ms: expect.any(Number),
  tokenize_ms: 0.5,
  queue_ms: 1,
  prefill_ms: 2,
  decode_ms: 3,
  detokenize_ms: 0.25,
  write_ms: expect.any(Number),
  total_ms: expect.any(Number),
};

const usage = { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 };
const identity = { id: expect.stringMatching(/^gen-/), model: 'fake' };

const { post, generator } = await startRoutes([generateRoute]);

/** What the generator gives to every request of a test. */
function generating(events: readonly GenerationEvent[]): void {
  generator.events = events;
}

describe('one answer', () => {
  const prompt: GenerationEvent = { type: 'prompt', prompt: 0, tokenIds: [8, 9], logprobs: [undefined, logprobs] };
  const scored = { ...token(0, 'Hi'), token: { id: 5, logprobs } } as GenerationEvent;

  test('has the log probabilities that the request asks for', async () => {
    generating([prompt, scored, finished(0)]);
    const response = await post('/generate', { prompt: 'x', logprobs: 1, prompt_logprobs: 1 });
    expect(response.json()).toEqual({
      ...identity,
      prompt: { token_ids: [8, 9], logprobs: [null, shownLogprobs] },
      text: 'Hi',
      token_ids: [5],
      logprobs: [shownLogprobs],
      finish_reason: 'stop',
      usage,
      timings: shownTimings,
    });
  });

  test('has them in events, too', async () => {
    generating([prompt, scored, finished(0)]);
    const { body } = await post('/generate', { prompt: 'x', logprobs: 1, prompt_logprobs: 1, stream: true });
    expect(eventsOf(body)).toEqual([
      ['prompt', { token_ids: [8, 9], logprobs: [null, shownLogprobs] }],
      ['token', { index: 0, token_id: 5, text: 'Hi', logprobs: shownLogprobs }],
      ['done', { ...identity, finish_reason: 'stop', usage, timings: shownTimings }],
    ]);
  });
});

describe('several answers', () => {
  const events = [
    token(0, 'a'),
    token(1, 'c'),
    token(1, 'd', true),
    finished(1, { decodeMs: 2 }),
    token(0, 'b', true),
    finished(0),
  ];
  const total = { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 };

  test('are choices of one reply, with the usage of all and the timings of the longest', async () => {
    generating(events);
    expect((await post('/generate', { prompt: 'x', n: 2 })).json()).toEqual({
      ...identity,
      choices: [
        { index: 0, text: 'ab', token_ids: [5, 5], finish_reason: 'stop', usage },
        { index: 1, text: 'cd', token_ids: [6, 6], finish_reason: 'length', usage },
      ],
      usage: total,
      timings: shownTimings,
    });
  });

  test('are told apart by the choice of each event', async () => {
    generating(events);
    const { body } = await post('/generate', { prompt: 'x', n: 2, stream: true });
    expect(eventsOf(body)).toEqual([
      ['token', { choice: 0, index: 0, token_id: 5, text: 'a' }],
      ['token', { choice: 1, index: 0, token_id: 6, text: 'c' }],
      ['token', { choice: 1, index: 1, token_id: 6, text: 'd' }],
      ['finished', { choice: 1, finish_reason: 'length', usage }],
      ['token', { choice: 0, index: 1, token_id: 5, text: 'b' }],
      ['finished', { choice: 0, finish_reason: 'stop', usage }],
      ['done', { ...identity, usage: total, timings: shownTimings }],
    ]);
  });

  test('to several prompts count each prompt once', async () => {
    const of = (choice: number, promptTokens: number) => [
      token(choice, 'a'),
      token(choice, 'b', true),
      finished(choice, { promptTokens }),
    ];
    generating([of(0, 3), of(1, 3), of(2, 10), of(3, 10)].flat());
    const { choices, usage } = (await post('/generate', { prompt: ['x', 'y'], n: 2 })).json();
    expect(choices).toHaveLength(4);
    expect(usage).toEqual({ prompt_tokens: 13, completion_tokens: 8, total_tokens: 21 });
  });

  test('have their prompts, if asked for', async () => {
    const prompts = [0, 1].map(
      (prompt): GenerationEvent => ({
        type: 'prompt',
        prompt,
        tokenIds: [8 + prompt],
        logprobs: [undefined],
      }),
    );
    generating([...prompts, ...events]);
    const body = { prompt: ['x', 'y'], prompt_logprobs: 0 };
    expect((await post('/generate', body)).json().prompts).toEqual([
      { token_ids: [8], logprobs: [null] },
      { token_ids: [9], logprobs: [null] },
    ]);
    const streamed = await post('/generate', { ...body, stream: true });
    expect(eventsOf(streamed.body).slice(0, 2)).toEqual([
      ['prompt', { prompt: 0, token_ids: [8], logprobs: [null] }],
      ['prompt', { prompt: 1, token_ids: [9], logprobs: [null] }],
    ]);
  });

  test('end together with an error', async () => {
    generating([token(0, 'a'), { type: 'error', error: new EngineError('out of memory') }]);
    const { body } = await post('/generate', { prompt: 'x', n: 2, stream: true });
    expect(eventsOf(body).at(-1)).toEqual([
      'error',
      { error: { message: 'out of memory', type: 'server_error', param: null, code: 'engine_failed' } },
    ]);
  });

  test('a list of one prompt has choices, too', async () => {
    generating([token(0, 'a', true), finished(0)]);
    expect((await post('/generate', { prompt: ['x'] })).json().choices).toHaveLength(1);
    const { body } = await post('/generate', { prompt: ['x'], stream: true });
    expect(eventsOf(body).map(([name]) => name)).toEqual(['token', 'finished', 'done']);
  });
});
