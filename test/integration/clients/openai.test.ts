import OpenAI, { APIError, APIUserAbortError, BadRequestError, NotFoundError } from 'openai';
import { expect, onTestFinished, test } from 'vitest';
import { Client } from '../../support/client.ts';
import { expectedCases, reference, type StoryCase } from '../../support/fixtures.ts';
import { serverForAllTests } from '../../support/server.ts';
import { ServerProcess, slowSteps } from '../../support/weft-process.ts';

const up = serverForAllTests(['--log-level', 'error']);
const clientOf = (url: string) => new OpenAI({ baseURL: `${url}/v1`, apiKey: 'unused', maxRetries: 0 });
const openAi = () => clientOf(up.client.url);

const model = 'opt-stories';
const stories = expectedCases<StoryCase>(reference('opt-stories')).slice(0, 3);
const [story = unreachable()] = stories;
const greedy = { model, prompt: story.prompt, max_tokens: 20, temperature: 0 };
const chat = { model, messages: [{ role: 'user' as const, content: 'Tell me a story.' }], max_completion_tokens: 12 };

function unreachable(): never {
  throw new Error('there are no stories');
}

async function all<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item);
  return items;
}

/** What a call throws. */
async function failure(call: Promise<unknown>): Promise<APIError> {
  const error: unknown = await call.catch((reason: unknown) => reason);
  if (error instanceof APIError) return error;
  throw new Error(`expected an error of the API, not ${error}`);
}

test('completions answer what transformers generates', async () => {
  for (const { prompt, prompt_token_ids: ids, token_ids: tokens, text, finish_reason: reason } of stories) {
    const options = { model, max_tokens: 48, temperature: 0 };
    const completion = await openAi().completions.create({ ...options, prompt });
    expect(completion).toMatchObject({
      object: 'text_completion',
      model,
      choices: [{ index: 0, text, finish_reason: reason, logprobs: null }],
      usage: {
        prompt_tokens: ids.length,
        completion_tokens: tokens.length,
        total_tokens: ids.length + tokens.length,
      },
    });
    expect(completion.id).toMatch(/^cmpl-/);
    const fromIds = await openAi().completions.create({ ...options, prompt: [...ids] });
    expect(fromIds.choices[0]?.text).toBe(text);
  }
});

test('a list of prompts gets one choice for each, in order', async () => {
  const { choices } = await openAi().completions.create({
    ...greedy,
    max_tokens: 48,
    prompt: stories.map(({ prompt }) => prompt),
  });
  expect(choices.map(({ index, text }) => [index, text])).toEqual(stories.map(({ text }, i) => [i, text]));
});

test('a streamed completion has one chunk per token, the finish reason in the last and then the usage', async () => {
  const whole = await openAi().completions.create(greedy);
  const chunks = await all(
    await openAi().completions.create({ ...greedy, stream: true, stream_options: { include_usage: true } }),
  );
  const usage = chunks.pop();
  expect(usage).toMatchObject({ choices: [], usage: whole.usage });
  expect(chunks).toHaveLength(20);
  expect(chunks.map(({ usage }) => usage)).toEqual(chunks.map(() => null));
  expect(chunks.map(({ choices }) => choices[0]?.text).join('')).toBe(whole.choices[0]?.text);
  const reasons = chunks.map(({ choices }) => choices[0]?.finish_reason);
  expect(reasons).toEqual([...Array(19).fill(null), 'length']);
  expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
});

test('completions report log probabilities with the offset of each token', async () => {
  const { choices } = await openAi().completions.create({ ...greedy, logprobs: 3 });
  const [{ text = '', logprobs } = {}] = choices;
  const {
    tokens = [],
    token_logprobs: logprobOf = [],
    top_logprobs: top = [],
    text_offset: offsets = [],
  } = logprobs ?? {};
  expect(tokens.join('')).toBe(text);
  expect([tokens.length, logprobOf.length, top.length, offsets.length]).toEqual([20, 20, 20, 20]);
  for (const [i, token] of tokens.entries()) {
    expect(text.slice(offsets[i], (offsets[i] ?? 0) + token.length)).toBe(token);
    const likeliest = top[i] ?? {};
    expect(Object.keys(likeliest)).toHaveLength(3);
    // Greedy: the token is the likeliest one.
    expect(likeliest[token]).toBe(logprobOf[i]);
    expect(Math.max(...Object.values(likeliest))).toBe(logprobOf[i]);
  }
});

test('n seeded answers differ from each other and are the same every time', async () => {
  const request = { ...greedy, temperature: 1, n: 4, seed: 7 };
  const texts = async () => (await openAi().completions.create(request)).choices.map(({ text }) => text);
  const first = await texts();
  expect(new Set(first).size).toBe(4);
  expect(await texts()).toEqual(first);
  const streamed = ['', '', '', ''];
  for await (const { choices } of await openAi().completions.create({ ...request, stream: true })) {
    for (const { index, text } of choices) streamed[index] += text;
  }
  expect(streamed).toEqual(first);
});

test('a stop string ends the text in front of it', async () => {
  const whole = (await openAi().completions.create(greedy)).choices[0]?.text ?? '';
  const stop = whole.slice(10, 19);
  const { choices } = await openAi().completions.create({ ...greedy, stop: [stop, 'never'] });
  expect(choices[0]).toMatchObject({ text: whole.slice(0, whole.indexOf(stop)), finish_reason: 'stop' });
});

test('echo puts the prompt in front of the text', async () => {
  const plain = await openAi().completions.create(greedy);
  const echoed = await openAi().completions.create({ ...greedy, echo: true });
  expect(echoed.choices[0]?.text).toBe(`${greedy.prompt}${plain.choices[0]?.text}`);
});

test('a chat completion is the same streamed and whole', async () => {
  const request = { ...chat, seed: 3, logprobs: true, top_logprobs: 2 };
  const whole = await openAi().chat.completions.create(request);
  const [choice] = whole.choices;
  expect(whole).toMatchObject({ object: 'chat.completion', model, usage: { completion_tokens: 12 } });
  expect(whole.id).toMatch(/^chatcmpl-/);
  expect(choice).toMatchObject({ index: 0, message: { role: 'assistant' }, finish_reason: 'length' });
  const chunks = await all(
    await openAi().chat.completions.create({ ...request, stream: true, stream_options: { include_usage: true } }),
  );
  expect(chunks.pop()).toMatchObject({ choices: [], usage: whole.usage });
  const parts = chunks.flatMap(({ choices }) => choices);
  expect(parts[0]?.delta.role).toBe('assistant');
  expect(parts.at(-1)).toMatchObject({ delta: {}, finish_reason: 'length' });
  expect(parts.map(({ delta }) => delta.content ?? '').join('')).toBe(choice?.message.content);
  const streamed = parts.flatMap(({ logprobs }) => logprobs?.content ?? []);
  expect(streamed).toEqual(choice?.logprobs?.content);
  expect(streamed).toHaveLength(12);
  expect(streamed.every(({ top_logprobs: top }) => top.length === 2)).toBe(true);
});

test('the helper that follows a chat stream assembles the whole answer', async () => {
  const request = { ...chat, seed: 4 };
  const whole = await openAi().chat.completions.create(request);
  const followed = openAi().chat.completions.stream({ ...request, stream_options: { include_usage: true } });
  const final = await followed.finalChatCompletion();
  expect(final.choices[0]?.message.content).toBe(whole.choices[0]?.message.content);
  expect(final.usage).toEqual(whole.usage);
});

test('models can be listed and retrieved', async () => {
  const listed = await all(openAi().models.list());
  expect(listed).toContainEqual(expect.objectContaining({ id: model, object: 'model' }));
  expect(await openAi().models.retrieve(model)).toEqual(listed.find(({ id }) => id === model));
  expect(await failure(openAi().models.retrieve('gpt-4'))).toBeInstanceOf(NotFoundError);
});

test.each<[problem: string, change: object, param: string]>([
  ['n beyond the batch', { n: 51 }, 'n'],
  ['21 log probabilities', { logprobs: 21 }, 'logprobs'],
  ['a token outside the vocabulary', { logit_bias: { 999999: 1 } }, 'logit_bias'],
  ['no prompt', { prompt: [] }, 'prompt'],
  ['a suffix', { suffix: 'the end' }, 'suffix'],
  ['a negative temperature', { temperature: -1 }, 'temperature'],
])('%s is a BadRequestError that names the parameter', async (_, change, param) => {
  const error = await failure(openAi().completions.create({ ...greedy, ...change }));
  expect(error).toBeInstanceOf(BadRequestError);
  expect(error.param).toMatch(new RegExp(`^${param}\\b`));
  expect(error.message).toContain(param);
  expect(error.type).toBe('invalid_request_error');
});

test('tools are refused by name', async () => {
  const tools = [{ type: 'function' as const, function: { name: 'f', parameters: {} } }];
  const error = await failure(openAi().chat.completions.create({ ...chat, tools }));
  expect(error).toBeInstanceOf(BadRequestError);
  expect(error.param).toBe('tools');
});

test('an unknown model is a NotFoundError', async () => {
  const error = await failure(openAi().completions.create({ ...greedy, model: 'gpt-4' }));
  expect(error).toBeInstanceOf(NotFoundError);
  expect(error).toMatchObject({ code: 'model_not_found', param: 'model' });
  expect(error.message).toContain('gpt-4');
});

test('a request has the id that its client gave it, or else one of the server', async () => {
  const given = await openAi().completions.create(greedy, { headers: { 'x-request-id': 'mine' } });
  expect(given._request_id).toBe('mine');
  expect((await openAi().completions.create(greedy))._request_id).toMatch(/./);
});

test('aborting a stream frees the slots of all its answers', async () => {
  const server = new ServerProcess(['--log-level', 'error'], slowSteps);
  onTestFinished(() => server.kill('SIGKILL'));
  const url = await server.url;
  const health = new Client(url);
  const { free_slots: numSlots } = await health.health();
  const request = { ...greedy, max_tokens: 400, n: 3, ignore_eos: true };

  const aborted = await clientOf(url).completions.create({ ...request, stream: true });
  await health.until(({ running }) => running === 3);
  aborted.controller.abort();
  await health.until(({ running, free_slots: free }) => running === 0 && free === numSlots);

  // Leaving the loop aborts, too.
  for await (const _ of await clientOf(url).completions.create({ ...request, stream: true })) break;
  await health.until(({ running, free_slots: free }) => running === 0 && free === numSlots);

  const controller = new AbortController();
  const waiting = clientOf(url).completions.create(request, { signal: controller.signal });
  const rejected = expect(waiting).rejects.toBeInstanceOf(APIUserAbortError);
  await health.until(({ running }) => running === 3);
  controller.abort();
  await rejected;
  await health.until(({ running, free_slots: free }) => running === 0 && free === numSlots);
});
