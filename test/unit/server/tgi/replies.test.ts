import { fastify } from 'fastify';
import { describe, expect, onTestFinished, test } from 'vitest';
import { EngineError, type GenerationEvent, type TokenLogprobs } from '../../../../src/core/index.ts';
import { generateRoute, infoRoute, rootRoute, streamRoute } from '../../../../src/server/dialects/tgi/index.ts';
import { codecOf, dataOf, startRoutes } from '../../../support/dialect-app.ts';
import { fakeModel } from '../../../support/served-model.ts';

const routes = [generateRoute, streamRoute, rootRoute];

const codec = codecOf(['Once', ' upon', ' a', new Uint8Array([0xf0, 0x9f])]);

const usage = { promptTokens: 3, completionTokens: 2 };
const timings = { tokenizeMs: 0.5, queueMs: 1.9, prefillMs: 20, decodeMs: 30, detokenizeMs: 0.25 };

function logprobsOf(logprob: number, top: TokenLogprobs['top'] = []): { readonly logprobs: TokenLogprobs } {
  return { logprobs: { logprob, rank: 1, top } };
}

/** The events of an answer of two tokens, the second of which is the end of the sequence. */
function answer(choice: number, logprob: number): GenerationEvent[] {
  return [
    { type: 'token', choice, index: 0, token: { id: 2, ...logprobsOf(logprob) }, text: ' upon', isLast: false },
    { type: 'token', choice, index: 1, token: { id: 0, ...logprobsOf(-1) }, text: '', isLast: true },
    { type: 'finished', choice, finishReason: 'stop', usage, timings },
  ];
}

const { post, generator } = await startRoutes(routes, { model: { codec } });

/** What the generator gives to every request of a test. */
function generating(events: readonly GenerationEvent[]): void {
  generator.events = events;
}

const upon = { id: 2, text: ' upon', logprob: -0.5, special: false };
const end = { id: 0, text: '</s>', logprob: -1, special: true };

describe('a whole reply', () => {
  test('is the text alone, in a list at /', async () => {
    generating(answer(0, -0.5));
    const body = { inputs: 'Once' };
    expect((await post('/generate', body)).json()).toEqual({ generated_text: ' upon' });
    expect((await post('/', body)).json()).toEqual([{ generated_text: ' upon' }]);
  });

  test('begins with the inputs if asked to', async () => {
    generating(answer(0, -0.5));
    const response = await post('/generate', { inputs: 'Once', parameters: { return_full_text: true } });
    expect(response.json()).toEqual({ generated_text: 'Once upon' });
  });

  test('has details if asked to', async () => {
    generating(answer(0, -0.5));
    const response = await post('/generate', {
      inputs: 'Once',
      parameters: { details: true, do_sample: true, seed: 7 },
    });
    expect(response.json()).toEqual({
      generated_text: ' upon',
      details: { finish_reason: 'eos_token', generated_tokens: 2, seed: 7, prefill: [], tokens: [upon, end] },
    });
  });

  test('has no seed without sampling', async () => {
    generating(answer(0, -0.5));
    const response = await post('/generate', { inputs: 'Once', parameters: { details: true, seed: 7 } });
    expect(response.json().details.seed).toBeNull();
  });

  test('has the tokens of the inputs, of which the first has no probability', async () => {
    const prompt: GenerationEvent = {
      type: 'prompt',
      prompt: 0,
      tokenIds: [0, 1, 4],
      logprobs: [undefined, logprobsOf(-2).logprobs, logprobsOf(-3).logprobs],
    };
    generating([prompt, ...answer(0, -0.5)]);
    const response = await post('/generate', { inputs: 'Once', parameters: { decoder_input_details: true } });
    expect(response.json().details.prefill).toEqual([
      { id: 0, text: '</s>', logprob: null },
      { id: 1, text: 'Once', logprob: -2 },
      { id: 4, text: '�', logprob: -3 },
    ]);
  });

  test('has the likeliest tokens if asked to', async () => {
    const [first, ...rest] = answer(0, -0.5);
    const top = [
      { id: 3, logprob: -0.1 },
      { id: 0, logprob: -0.2 },
    ];
    generating([{ ...first, token: { id: 2, ...logprobsOf(-0.5, top) } } as GenerationEvent, ...rest]);
    const response = await post('/generate', { inputs: 'Once', parameters: { details: true, top_n_tokens: 2 } });
    expect(response.json().details.top_tokens).toEqual([
      [
        { id: 3, text: ' a', logprob: -0.1, special: false },
        { id: 0, text: '</s>', logprob: -0.2, special: true },
      ],
      [],
    ]);
  });

  test('with best_of is the answer with the highest mean log probability, and the others are in the details', async () => {
    generating([...answer(0, -0.9), ...answer(1, -0.4), ...answer(2, -0.8)]);
    const parameters = { best_of: 3, do_sample: true, details: true };
    const { details } = (await post('/generate', { inputs: 'Once', parameters })).json();
    expect(details.tokens[0].logprob).toBe(-0.4);
    const others = details.best_of_sequences as { generated_text: string; tokens: { logprob: number }[] }[];
    expect(others.map(({ generated_text, tokens }) => [generated_text, tokens[0]?.logprob])).toEqual([
      [' upon', -0.9],
      [' upon', -0.8],
    ]);
  });

  test.each<[string, object, string]>([
    ['length', { finishReason: 'length' }, 'length'],
    ['a stop string', { finishReason: 'stop', stopReason: 'x' }, 'stop_sequence'],
    ['the end of the sequence', { finishReason: 'stop' }, 'eos_token'],
  ])('names its end: %s', async (_, ending, reason) => {
    const [first, last, finished] = answer(0, -0.5);
    generating([first, last, { ...finished, ...ending }] as GenerationEvent[]);
    const response = await post('/generate', { inputs: 'Once', parameters: { details: true } });
    expect(response.json().details.finish_reason).toBe(reason);
  });

  test('has headers that say where the time went', async () => {
    generating(answer(0, -0.5));
    const { headers } = await post('/generate', { inputs: 'Once 💥' });
    expect(headers).toMatchObject({
      'x-compute-type': 'weft',
      'x-compute-time': expect.stringMatching(/^0\.\d+$/),
      'x-compute-characters': '6',
      'x-total-time': expect.stringMatching(/^\d+$/),
      'x-validation-time': expect.stringMatching(/^\d+$/),
      'x-queue-time': '1',
      'x-inference-time': '50',
      'x-time-per-token': '25',
      'x-prompt-tokens': '3',
      'x-generated-tokens': '2',
    });
  });
});

describe('a stream', () => {
  test('has one event per token, and the last one has the whole text', async () => {
    generating(answer(0, -0.5));
    const { body } = await post('/generate_stream', { inputs: 'Once', parameters: {} });
    expect(body).toBe(
      'data: {"index":1,"token":{"id":2,"text":" upon","logprob":-0.5,"special":false},"generated_text":null,"details":null}\n\n' +
        'data: {"index":2,"token":{"id":0,"text":"</s>","logprob":-1,"special":true},"generated_text":" upon","details":null}\n\n',
    );
  });

  test('has details at the end, the likeliest tokens and the inputs if asked to', async () => {
    generating(answer(0, -0.5));
    const parameters = { details: true, seed: 3, temperature: 1, top_n_tokens: 2, return_full_text: true };
    const { body } = await post('/', { inputs: 'Once', parameters, stream: true });
    expect(dataOf(body)).toEqual([
      { index: 1, token: upon, top_tokens: [], generated_text: null, details: null },
      {
        index: 2,
        token: end,
        top_tokens: [],
        generated_text: 'Once upon',
        details: { finish_reason: 'eos_token', generated_tokens: 2, seed: 3, input_length: 3 },
      },
    ]);
  });

  test('ends with an error if generation fails', async () => {
    const [first] = answer(0, -0.5);
    generating([first, { type: 'error', error: new EngineError('out of memory') }] as GenerationEvent[]);
    const { statusCode, body } = await post('/generate_stream', { inputs: 'Once' });
    expect(statusCode).toBe(200);
    expect(dataOf(body).at(-1)).toEqual({
      error: 'Request failed during generation: out of memory',
      error_type: 'generation',
    });
  });
});

test('a special token that releases held text counts as an ordinary one, so that no text is lost', async () => {
  const [first, last, finished] = answer(0, -0.5);
  generating([first, { ...last, text: '�' }, finished] as GenerationEvent[]);
  const data = dataOf((await post('/generate_stream', { inputs: 'Once' })).body);
  expect(data.at(-1)).toMatchObject({ token: { id: 0, text: '�', special: false }, generated_text: ' upon�' });
});

describe('GET /info', () => {
  async function infoOf(options: Parameters<typeof infoRoute>[1]) {
    const app = fastify();
    onTestFinished(() => app.close());
    await app.register(infoRoute, options);
    return (await app.inject('/info')).json();
  }

  test('tells the limits of the model', async () => {
    const model = fakeModel({ name: 'opt', maxBatchSize: 50, maxQueueSize: 1000, maxModelLen: 2048 });
    expect(await infoOf({ model, version: '1.2.3' })).toEqual({
      model_id: 'opt',
      model_sha: null,
      model_pipeline_tag: 'text-generation',
      max_concurrent_requests: 1050,
      max_best_of: 50,
      max_stop_sequences: 64,
      max_input_tokens: 2047,
      max_total_tokens: 2048,
      validation_workers: 1,
      max_client_batch_size: 1,
      router: 'weft',
      version: '1.2.3',
      sha: null,
      docker_label: null,
    });
  });

  test('tells what it knows of a generator that tells nothing', async () => {
    expect(await infoOf({ model: fakeModel(), version: '1.2.3' })).toMatchObject({
      model_id: 'fake',
      max_concurrent_requests: null,
      max_best_of: null,
      max_input_tokens: null,
      max_total_tokens: null,
    });
  });
});
