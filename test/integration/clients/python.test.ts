import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { expectedCases, reference, type StoryCase } from '../../support/fixtures.ts';
import { outputOf } from '../../support/run-file.ts';
import { serverForAllTests } from '../../support/server.ts';
import { needTool } from '../../support/tools.ts';

const up = serverForAllTests(['--log-level', 'error']);
const [{ prompt, token_ids: tokenIds, text: longText } = unreachable()] = expectedCases<StoryCase>(
  reference('opt-stories'),
);
const model = 'opt-stories';

function unreachable(): never {
  throw new Error('there are no stories');
}

/** Runs a script of this folder. @returns the JSON that it prints */
async function resultsOf(python: string, script: string, ...args: readonly string[]) {
  const file = fileURLToPath(new URL(script, import.meta.url));
  return JSON.parse(await outputOf([python, file, up.client.url, ...args]));
}

/** What the model generates greedily. */
async function greedyText(maxNewTokens: number): Promise<string> {
  const { text } = await up.client.generate({ prompt, max_new_tokens: maxNewTokens });
  expect(longText.startsWith(text)).toBe(true);
  return text;
}

test("OpenAI's Python package", async (context) => {
  const python = needTool(context, 'openai-python');
  const text = await greedyText(20);
  const request = { model, prompt, max_tokens: 20, temperature: 0 };
  const results = await resultsOf(python, 'openai_calls.py', JSON.stringify(request));
  const { completion, chunks, logprobs, seeded, stopped, extra } = results;
  const usage = { prompt_tokens: 5, completion_tokens: 20, total_tokens: 25 };
  expect(completion).toMatchObject({ model, choices: [{ index: 0, text, finish_reason: 'length' }], usage });
  expect(chunks).toHaveLength(21);
  expect(chunks.at(-1)).toMatchObject({ choices: [], usage });
  expect(textOf(chunks.slice(0, -1))).toBe(text);
  expect(logprobs.tokens.join('')).toBe(text);
  expect(logprobs.top_logprobs.map((top: object) => Object.keys(top).length)).toEqual(Array(20).fill(2));
  expect(new Set(seeded[0]).size).toBe(3);
  expect(seeded[1]).toEqual(seeded[0]);
  expect(stopped).toMatchObject({ text: text.slice(0, text.indexOf('girl')), finish_reason: 'stop' });
  expect(extra).toMatchObject({ text, token_ids: tokenIds.slice(0, 20) });
  expect(results.chat).toBe(results.chat_chunks.join(''));
  expect(results.chat).not.toBe('');
  expect(results.models).toContain(model);
  expect(results.model).toBe(model);
  expect(results.bad_request).toMatchObject({ class: 'BadRequestError', status: 400, param: 'n' });
  expect(results.bad_request.request_id).toMatch(/./);
  expect(results.unknown_model).toMatchObject({ class: 'NotFoundError', status: 404, code: 'model_not_found' });
  expect(text.startsWith(results.left_early)).toBe(true);
  await up.client.until(({ running }) => running === 0);
});

function textOf(chunks: readonly { readonly choices: readonly { readonly text: string }[] }[]): string {
  return chunks.map(({ choices }) => choices[0]?.text).join('');
}

interface TgiDetails {
  readonly generated_text: string;
  readonly details: { readonly tokens: readonly { readonly id: number; readonly text: string }[] };
}

/** Checks a whole answer and the events of a stream, as TGI words them. */
function expectTgiAnswers(whole: TgiDetails, events: readonly unknown[], text: string): void {
  const details = { finish_reason: 'length', generated_tokens: 20 };
  expect(whole).toMatchObject({ generated_text: text, details });
  expect(whole.details.tokens.map(({ id }) => id)).toEqual(tokenIds.slice(0, 20));
  expect(whole.details.tokens.map((token) => token.text).join('')).toBe(text);
  expect(events).toHaveLength(20);
  expect(events).toMatchObject(whole.details.tokens.map(({ id }) => ({ token: { id, special: false } })));
  expect(events.at(-1)).toMatchObject({ generated_text: text, details });
}

test("TGI's Python client", async (context) => {
  const python = needTool(context, 'tgi-python');
  const text = await greedyText(20);
  const { whole, events, seeded, stopped, full_text: fullText, ...rest } = await resultsOf(python, 'tgi_calls.py');
  expectTgiAnswers(whole, events, text);
  expect(whole.details.prefill.map(({ id }: { id: number }) => id)).toEqual([2, 537, 467, 262, 425]);
  expect(whole.details.top_tokens.map((top: object[]) => top.length)).toEqual(Array(20).fill(2));
  expect(seeded[1]).toBe(seeded[0]);
  expect(stopped.details.finish_reason).toBe('stop_sequence');
  expect(stopped.generated_text).toBe(text.slice(0, text.indexOf('girl') + 'girl'.length));
  expect(fullText).toBe(prompt + text);
  expect(rest.chat.choices[0].message).toMatchObject({ role: 'assistant', content: expect.stringMatching(/./) });
  expect(rest.chat.usage).toMatchObject({ completion_tokens: 12 });
  for (const refusal of [rest.too_many, rest.too_many_streamed]) expect(refusal).toMatch(/max_new_tokens.*100000/);
});

test('the client of huggingface_hub', async (context) => {
  const python = needTool(context, 'openai-python');
  const text = await greedyText(20);
  const results = await resultsOf(python, 'huggingface_calls.py');
  expect(results.text).toBe(text);
  expect(results.parts.join('')).toBe(text);
  expectTgiAnswers(results.details, results.events, text);
  expect(results.seeded[1]).toBe(results.seeded[0]);
  expect(results.chat).toBe(results.chat_parts.join(''));
  expect(results.too_many).toMatch(/max_new_tokens.*100000/);
});
