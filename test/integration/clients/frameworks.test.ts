import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { ChatOpenAI, OpenAI } from '@langchain/openai';
import { APICallError, generateText, streamText } from 'ai';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Client } from '../../support/client.ts';
import { serverForAllTests } from '../../support/server.ts';
import { ServerProcess, slowSteps } from '../../support/weft-process.ts';

const up = serverForAllTests(['--log-level', 'error']);
const model = 'opt-stories';
const prompt = 'Once upon a time';
const greedyText = async () => (await up.client.generate({ prompt, max_new_tokens: 20 })).text;

async function all<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item);
  return items;
}

describe('the Vercel AI SDK', () => {
  const provider = (url = up.client.url) =>
    createOpenAICompatible({ name: 'weft', baseURL: `${url}/v1`, includeUsage: true });
  const settings = { maxOutputTokens: 20, maxRetries: 0 };

  test('completes, whole and streamed', async () => {
    // The SDK writes the prompt as a conversation, with a stop string.
    const request = { ...settings, model: provider().completionModel(model), prompt, temperature: 0 };
    const whole = await generateText(request);
    expect(whole).toMatchObject({ finishReason: 'length', usage: { outputTokens: 20 } });
    const stream = streamText(request);
    expect((await all(stream.textStream)).join('')).toBe(whole.text);
    expect(await stream.usage).toMatchObject({ outputTokens: 20 });
  });

  test('chats, whole and streamed', async () => {
    const request = { ...settings, model: provider()(model), prompt: 'Tell me a story.', seed: 3 };
    const whole = await generateText(request);
    expect(whole).toMatchObject({ finishReason: 'length', usage: { outputTokens: 20 } });
    const stream = streamText(request);
    expect((await all(stream.textStream)).join('')).toBe(whole.text);
    expect(await stream.finishReason).toBe('length');
    expect(await stream.usage).toMatchObject({ outputTokens: 20, inputTokens: whole.usage.inputTokens });
  });

  test('reports an error with its status', async () => {
    const error: unknown = await generateText({ ...settings, model: provider()('gpt-4'), prompt }).catch((e) => e);
    if (!APICallError.isInstance(error)) throw new Error(`expected a failed call, not ${error}`);
    expect(error.statusCode).toBe(404);
    expect(error.message).toContain('gpt-4');
  });

  test('an aborted stream frees its slot', async () => {
    const server = new ServerProcess(['--log-level', 'error'], slowSteps);
    onTestFinished(() => server.kill('SIGKILL'));
    const client = new Client(await server.url);
    const controller = new AbortController();
    const { textStream } = streamText({
      model: provider(client.url)(model),
      prompt,
      maxOutputTokens: 400,
      abortSignal: controller.signal,
    });
    const read = all(textStream);
    await client.until(({ running }) => running === 1);
    controller.abort();
    await read;
    await client.until(({ running }) => running === 0);
  });
});

describe('LangChain.js', () => {
  const options = () => ({
    model,
    apiKey: 'unused',
    maxTokens: 20,
    maxRetries: 0,
    configuration: { baseURL: `${up.client.url}/v1` },
  });

  test('OpenAI completes, whole and streamed', async () => {
    const llm = new OpenAI({ ...options(), temperature: 0 });
    const text = await greedyText();
    expect(await llm.invoke(prompt)).toBe(text);
    expect((await all(await llm.stream(prompt))).join('')).toBe(text);
    expect(await llm.batch([prompt, prompt])).toEqual([text, text]);
  });

  test('ChatOpenAI chats, whole and streamed', async () => {
    const chat = new ChatOpenAI({ ...options(), modelKwargs: { seed: 3 } });
    const whole = await chat.invoke('Tell me a story.');
    expect(whole.usage_metadata).toMatchObject({ output_tokens: 20 });
    expect(whole.response_metadata).toMatchObject({ finish_reason: 'length' });
    const chunks = await all(await chat.stream('Tell me a story.'));
    expect(chunks.map(({ text }) => text).join('')).toBe(whole.text);
    expect(whole.text).not.toBe('');
  });

  test('reports an error with its status', async () => {
    const chat = new ChatOpenAI({ ...options(), model: 'gpt-4' });
    await expect(chat.invoke('Hi')).rejects.toMatchObject({ status: 404 });
  });
});
