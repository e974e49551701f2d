import { InferenceClient } from '@huggingface/inference';
import { InferenceClient as TgiInferenceClient } from 'huggingface-inference-tgi';
import { describe, expect, test } from 'vitest';
import { serverForAllTests } from '../../support/server.ts';

const up = serverForAllTests(['--log-level', 'error']);
const inputs = 'Once upon a time';
const parameters = { max_new_tokens: 20 };
const greedyText = async () => (await up.client.generate({ prompt: inputs, ...parameters })).text;

describe('@huggingface/inference 4.12, which posts to the URL it is given', () => {
  const client = (route = '') => new TgiInferenceClient().endpoint(`${up.client.url}${route}`);

  test.each(['', '/', '/generate'])('textGeneration and textGenerationStream at "%s"', async (route) => {
    const text = await greedyText();
    expect(await client(route).textGeneration({ inputs, parameters })).toMatchObject({ generated_text: text });
    const parts: string[] = [];
    let last: unknown;
    for await (const event of client(route).textGenerationStream({
      inputs,
      parameters: { ...parameters, details: true },
    })) {
      parts.push(event.token.text);
      last = event;
    }
    expect(parts).toHaveLength(20);
    expect(parts.join('')).toBe(text);
    expect(last).toMatchObject({
      generated_text: text,
      details: { finish_reason: 'length', generated_tokens: 20, seed: null },
    });
  });

  test('an error is reported with its message', async () => {
    const refused = client().textGeneration({ inputs, parameters: { max_new_tokens: 100_000 } });
    await expect(refused).rejects.toThrow(/max_new_tokens.*100000/);
  });
});

describe("@huggingface/inference 4.13, which posts to OpenAI's routes under the URL it is given", () => {
  const client = () => new InferenceClient().endpoint(up.client.url);
  const model = 'opt-stories';

  test('textGeneration and textGenerationStream', async () => {
    const text = await greedyText();
    const request = { model, inputs, parameters: { ...parameters, temperature: 0 } };
    expect(await client().textGeneration(request)).toEqual({ generated_text: text });
    const parts: string[] = [];
    for await (const event of client().textGenerationStream(request)) {
      // Typed as TGI's event, but it is OpenAI's chunk.
      const { choices } = event as unknown as { readonly choices: readonly { readonly text: string }[] };
      parts.push(choices[0]?.text ?? '');
    }
    expect(parts).toHaveLength(20);
    expect(parts.join('')).toBe(text);
  });

  test('chatCompletion and chatCompletionStream', async () => {
    const request = { model, messages: [{ role: 'user', content: 'Tell me a story.' }], max_tokens: 12, seed: 3 };
    const whole = await client().chatCompletion(request);
    const parts: string[] = [];
    for await (const { choices } of client().chatCompletionStream(request)) {
      parts.push(choices[0]?.delta.content ?? '');
    }
    expect(parts.join('')).toBe(whole.choices[0]?.message.content);
    expect(parts.join('')).not.toBe('');
  });

  test('an error is reported with its message', async () => {
    const request = { model: 'gpt-4', messages: [{ role: 'user', content: 'Hi' }] };
    await expect(client().chatCompletionStream(request).next()).rejects.toThrow(/gpt-4/);
    await expect(client().chatCompletion(request)).rejects.toMatchObject({
      httpResponse: { status: 404, body: { error: { code: 'model_not_found' } } },
    });
  });
});
