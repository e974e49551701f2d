import { describe, expect, test } from 'vitest';
import { chat, completion, type Route, refusalOf, startOpenai } from './openai-app.ts';

const routes: readonly [Route, object][] = [
  ['complete', completion],
  ['chat', chat],
];

/** The request that a body stands for. */
async function requestFor(route: Route, body: object) {
  const app = await startOpenai();
  const reply = await app[route](body);
  expect([reply.status, reply.body]).toEqual([200, expect.anything()]);
  return app.generator.requests[0];
}

describe('a completion', () => {
  test('has the published defaults', async () => {
    expect(await requestFor('complete', completion)).toEqual({
      id: 'cmpl-abc',
      prompts: ['Hello'],
      n: 1,
      addSpecialTokens: true,
      truncatePromptTokens: undefined,
      truncationSide: 'left',
      maxNewTokens: { atMost: 16 },
      minNewTokens: 0,
      stop: [],
      stopTokenIds: [],
      includeStop: false,
      ignoreEos: false,
      skipSpecialTokens: true,
      badWords: [],
      sampling: {
        temperature: 1,
        topK: 0,
        topP: 1,
        minP: 0,
        typicalP: 1,
        repetitionPenalty: 1,
        presencePenalty: 0,
        frequencyPenalty: 0,
        logitBias: [],
        allowedTokenIds: undefined,
        seed: expect.any(Number),
      },
      numLogprobs: undefined,
      reportPrompt: false,
      numPromptLogprobs: undefined,
      repeatsPrompt: true,
      priority: 0,
      cacheSalt: undefined,
    });
  });

  test.each([
    ['Hello', ['Hello']],
    [['Hello'], ['Hello']],
    [
      ['Hello', ' world'],
      ['Hello', ' world'],
    ],
    [[1, 2], [[1, 2]]],
    [
      [[1, 2], [3]],
      [[1, 2], [3]],
    ],
  ])('takes the prompt %j', async (prompt, prompts) => {
    expect((await requestFor('complete', { prompt }))?.prompts).toEqual(prompts);
  });

  test.each([
    [{ max_tokens: 5 }, { maxNewTokens: 5 }],
    [{ max_tokens: null }, { maxNewTokens: { atMost: 16 } }],
    [{ logprobs: 0 }, { numLogprobs: 0, numPromptLogprobs: undefined, reportPrompt: false }],
    [{ echo: true }, { numPromptLogprobs: undefined, reportPrompt: true }],
    [
      { echo: true, logprobs: 3 },
      { numLogprobs: 3, numPromptLogprobs: 3 },
    ],
    [
      { echo: true, logprobs: 3, prompt_logprobs: 5 },
      { numLogprobs: 3, numPromptLogprobs: 5 },
    ],
    [{ best_of: 3 }, { n: 3, numLogprobs: 0 }],
    [
      { best_of: 3, n: 3 },
      { n: 3, numLogprobs: undefined },
    ],
    [{ best_of: 2, n: 2, stream: true }, { n: 2 }],
    [{ add_special_tokens: false }, { addSpecialTokens: false }],
    [{ truncate_prompt_tokens: -1 }, { truncatePromptTokens: 84 }],
    [{ truncate_prompt_tokens: -1, max_tokens: 200 }, { truncatePromptTokens: 1 }],
    [{ suffix: '', prompt_embeds: [] }, {}],
  ])('%j', async (fields, parts) => {
    expect(await requestFor('complete', { ...completion, ...fields })).toMatchObject(parts);
  });

  test.each([
    [{ prompt: undefined }, 'prompt is missing', 'prompt'],
    [{ prompt: null }, 'prompt is missing', 'prompt'],
    [{ prompt: '' }, 'prompt is empty; a decoder prompt cannot be empty', 'prompt'],
    [{ prompt: [] }, 'prompt is empty; a decoder prompt cannot be empty', 'prompt'],
    [{ prompt: ['a', ''] }, 'prompt[1] is empty; a decoder prompt cannot be empty', 'prompt'],
    [{ prompt: [[]] }, 'prompt[0] is empty; a decoder prompt cannot be empty', 'prompt'],
    [{ prompt: ['a', 5] }, 'prompt[1] is 5; it must be a string, as the items before it are', 'prompt'],
    [{ prompt: [5, 'a'] }, 'prompt[1] is "a"; it must be a token id, as the items before it are', 'prompt'],
    [{ prompt: [[5], 6] }, 'prompt[1] is 6; it must be a list of token ids, as the items before it are', 'prompt'],
    [{ prompt: [{}] }, 'prompt[0] is {}; it must be a string, a token id, or a list of token ids', 'prompt'],
    [{ prompt: [-1] }, 'prompt[0] is -1; it must be at least 0', 'prompt'],
    [{ prompt: [[5, 'a']] }, 'prompt[0][1] is "a"; it must be an integer', 'prompt'],
    [{ prompt: 5 }, /^prompt is 5; it must be a string, a list of strings/, 'prompt'],
    [{ logprobs: 21 }, 'logprobs is 21; it must be from 0 to 20', 'logprobs'],
    [{ prompt: ['x', '\ud800'] }, 'prompt[1] contains half of a surrogate pair; it must be well-formed text', 'prompt'],
    [{ max_tokens: -1 }, 'max_tokens is -1; it must be at least 0', 'max_tokens'],
    [{ max_tokens: 0 }, 'max_tokens is 0; it must be at least 1, or echo must be true', 'max_tokens'],
    [{ best_of: 2, n: 3 }, 'best_of is 2; it must be at least n, which is 3', 'best_of'],
    [{ best_of: 2, stream: true }, 'best_of is 2; with stream it must be n, which is 1', 'best_of'],
    [{ suffix: 'end' }, 'suffix is "end"; only "" is supported', 'suffix'],
    [{ prompt_embeds: 'AA==' }, 'prompt_embeds is "AA=="; only [] is supported', 'prompt_embeds'],
  ])('%j is refused', async (fields, message, param) => {
    const refusal = await refusalOf('complete', { ...completion, ...fields });
    expect(refusal).toMatchObject({ status: 400, param, code: 'invalid_request' });
    expect(refusal.message).toMatch(message);
  });
});

describe('a chat', () => {
  test.each([
    [{}, { id: 'chatcmpl-abc', prompts: ['user: Hello\n'], addSpecialTokens: false, n: 1 }],
    [{}, { maxNewTokens: { atMost: Number.MAX_SAFE_INTEGER }, numLogprobs: undefined }],
    [{ max_tokens: 5 }, { maxNewTokens: 5 }],
    [{ max_completion_tokens: 6, max_tokens: 5 }, { maxNewTokens: 6 }],
    [{ logprobs: true }, { numLogprobs: 0 }],
    [{ logprobs: true, top_logprobs: 4 }, { numLogprobs: 4 }],
    [{ logprobs: false, top_logprobs: 0 }, { numLogprobs: undefined }],
    [{ add_special_tokens: true }, { addSpecialTokens: true }],
    [{ truncate_prompt_tokens: -1, max_tokens: 10 }, { truncatePromptTokens: 90 }],
    [{ tools: [], tool_choice: 'auto', function_call: 'none', modalities: ['text'], audio: null }, {}],
    [{ parallel_tool_calls: true, reasoning_effort: 'low', verbosity: 'low', prediction: { type: 'content' } }, {}],
  ])('%j', async (fields, parts) => {
    expect(await requestFor('chat', { ...chat, ...fields })).toMatchObject(parts);
  });

  test.each([
    [{ messages: undefined }, 'messages is missing', 'messages'],
    [{ messages: [] }, 'messages is []; it must be a list that is not empty', 'messages'],
    [{ messages: [{ content: 'a' }] }, 'messages[0].role is missing', 'messages'],
    [{ messages: [{ role: 'user' }] }, /^messages\[0\]\.content is missing; it must be/, 'messages'],
    [{ messages: [{ role: 'user', content: null }] }, /^messages\[0\]\.content is null; it must be/, 'messages'],
    [
      {
        messages: [
          {
            role: 'user',
            content: [
              { type: 'text', text: 'a' },
              { type: 'image_url', image_url: {} },
            ],
          },
        ],
      },
      'messages[0].content[1].type is "image_url"; only "text" is supported',
      'messages',
    ],
    [
      { messages: [{ role: 'user', content: [{ type: 'text' }] }] },
      'messages[0].content[0].text is missing',
      'messages',
    ],
    [{ max_tokens: 0 }, 'max_tokens is 0; it must be at least 1', 'max_tokens'],
    [{ max_completion_tokens: 0 }, 'max_completion_tokens is 0; it must be at least 1', 'max_completion_tokens'],
    [{ logprobs: true, top_logprobs: 21 }, 'top_logprobs is 21; it must be from 0 to 20', 'top_logprobs'],
    [{ top_logprobs: 1 }, 'top_logprobs is 1; it is only possible if logprobs is true', 'top_logprobs'],
    [
      { messages: [{ role: 'user', content: 'a\ud800' }] },
      'messages contains half of a surrogate pair; it must be well-formed text',
      'messages',
    ],
    [{ tools: [{ type: 'function' }] }, 'tools is [{"type":"function"}]; only [] is supported', 'tools'],
    [{ tool_choice: 'required' }, 'tool_choice is "required"; only "none" or "auto" is supported', 'tool_choice'],
    [{ functions: [{}] }, 'functions is [{}]; only [] is supported', 'functions'],
    [{ function_call: { name: 'f' } }, /^function_call is {"name":"f"}; only/, 'function_call'],
    [{ modalities: ['text', 'audio'] }, /^modalities is \["text","audio"\]; only \["text"\]/, 'modalities'],
    [{ audio: { voice: 'a' } }, 'audio is {"voice":"a"}; this field is not supported', 'audio'],
    [{ web_search_options: {} }, 'web_search_options is {}; this field is not supported', 'web_search_options'],
  ])('%j is refused', async (fields, message, param) => {
    const refusal = await refusalOf('chat', { ...chat, ...fields });
    expect(refusal).toMatchObject({ status: 400, param, code: 'invalid_request' });
    expect(refusal.message).toMatch(message);
  });
});

describe.each(routes)('%s', (route, body) => {
  test.each([
    [{ n: 3 }, { n: 3 }],
    [
      { n: 3, temperature: 0 },
      { n: 3, sampling: { temperature: 0 } },
    ],
    [
      { top_p: 0.5, top_k: 7, min_p: 0.25, typical_p: 0.5 },
      { sampling: { topP: 0.5, topK: 7, minP: 0.25, typicalP: 0.5 } },
    ],
    [{ top_k: -1 }, { sampling: { topK: 0 } }],
    [
      { repetition_penalty: 1.5, presence_penalty: -2, frequency_penalty: 2 },
      { sampling: { repetitionPenalty: 1.5, presencePenalty: -2, frequencyPenalty: 2 } },
    ],
    [
      { logit_bias: { 5: 100, 50000: -0.5 } },
      {
        sampling: {
          logitBias: [
            [5, 100],
            [50000, -0.5],
          ],
        },
      },
    ],
    [{ logit_bias: null }, { sampling: { logitBias: [] } }],
    [{ allowed_token_ids: [1, 2] }, { sampling: { allowedTokenIds: [1, 2] } }],
    [{ seed: -7 }, { sampling: { seed: -7 } }],
    [{ stop: 'a' }, { stop: ['a'] }],
    [{ stop: ['a', 'b'] }, { stop: ['a', 'b'] }],
    [{ stop: null }, { stop: [] }],
    [{ stop_token_ids: [1] }, { stopTokenIds: [1] }],
    [
      { include_stop_str_in_output: true, ignore_eos: true },
      { includeStop: true, ignoreEos: true },
    ],
    [
      { min_tokens: 4, skip_special_tokens: false },
      { minNewTokens: 4, skipSpecialTokens: false },
    ],
    [{ bad_words: ['a'] }, { badWords: ['a'] }],
    [{ prompt_logprobs: 2 }, { numPromptLogprobs: 2, reportPrompt: true }],
    [{ return_token_ids: true }, { reportPrompt: true }],
    [{ truncate_prompt_tokens: 5 }, { truncatePromptTokens: 5 }],
    [
      { priority: -3, cache_salt: 'x' },
      { priority: -3, cacheSalt: 'x' },
    ],
    [{ user: 'u', store: true, metadata: { a: 'b' }, service_tier: 'auto', unknown: {} }, {}],
    [{ safety_identifier: 's', prompt_cache_key: 'k', spaces_between_special_tokens: true }, {}],
    [{ response_format: { type: 'text' }, structured_outputs: null, use_beam_search: false }, {}],
    [{ truncation_side: 'left' }, { truncationSide: 'left' }],
    [{ truncation_side: 'right' }, { truncationSide: 'right' }],
    [{ prompt_logprobs_temperature: 1 }, {}],
  ])('%j', async (fields, parts) => {
    expect(await requestFor(route, { ...body, ...fields })).toMatchObject(parts);
  });

  test.each([undefined, null, -1])('seed %s is random', async (seed) => {
    const a = (await requestFor(route, { ...body, seed }))?.sampling.seed;
    const b = (await requestFor(route, { ...body, seed }))?.sampling.seed;
    expect(a).toBeGreaterThanOrEqual(0);
    expect(a).not.toBe(b);
  });

  test.each([
    [{ n: 0 }, 'n is 0; it must be at least 1', 'n'],
    [{ n: '2' }, 'n is "2"; it must be an integer', 'n'],
    [{ temperature: -0.1 }, 'temperature is -0.1; it must be from 0 to 2', 'temperature'],
    [{ temperature: 2.1 }, 'temperature is 2.1; it must be from 0 to 2', 'temperature'],
    [{ top_p: 0 }, 'top_p is 0; it must be greater than 0 and at most 1', 'top_p'],
    [{ top_p: 1.1 }, 'top_p is 1.1; it must be greater than 0 and at most 1', 'top_p'],
    [{ top_k: -2 }, 'top_k is -2; it must be at least -1', 'top_k'],
    [{ min_p: 2 }, 'min_p is 2; it must be from 0 to 1', 'min_p'],
    [{ typical_p: 0 }, 'typical_p is 0; it must be greater than 0 and at most 1', 'typical_p'],
    [{ repetition_penalty: 0 }, 'repetition_penalty is 0; it must be greater than 0', 'repetition_penalty'],
    [{ presence_penalty: 3 }, 'presence_penalty is 3; it must be from -2 to 2', 'presence_penalty'],
    [{ frequency_penalty: -3 }, 'frequency_penalty is -3; it must be from -2 to 2', 'frequency_penalty'],
    [
      { seed: 2 ** 63 },
      /^seed is 9223372036854776000; it must be greater than -9223372036854776000 and less than/,
      'seed',
    ],
    [{ logit_bias: { 5: 101 } }, 'logit_bias["5"] is 101; it must be from -100 to 100', 'logit_bias'],
    [{ logit_bias: { 5: 'x' } }, 'logit_bias["5"] is "x"; it must be a number', 'logit_bias'],
    [{ logit_bias: { a: 1, '-1': 1 } }, 'logit_bias has the keys "a", "-1"; its keys must be token ids', 'logit_bias'],
    [{ allowed_token_ids: [] }, 'allowed_token_ids is []; it must be a list that is not empty', 'allowed_token_ids'],
    [
      { logit_bias: Object.fromEntries(Array.from({ length: 1025 }, (_, id) => [id, 1])) },
      /^logit_bias is {.*; it must be an object of up to 1024 token ids/,
      'logit_bias',
    ],
    [{ stop_token_ids: [-1] }, 'stop_token_ids[0] is -1; it must be at least 0', 'stop_token_ids'],
    [{ stop: '' }, /^stop is ""; it must be .* a string of 1 to 1024 characters, or a list of up to 64/, 'stop'],
    [{ stop: Array(10_000).fill('a') }, /^stop is \["a",.*; it must be .* a list of up to 64 of them/, 'stop'],
    [{ stop: '\ud800' }, 'stop contains half of a surrogate pair; it must be well-formed text', 'stop'],
    [
      { bad_words: ['\ud800'] },
      'bad_words[0] contains half of a surrogate pair; it must be well-formed text',
      'bad_words',
    ],
    [{ bad_words: [''] }, 'bad_words[0] is ""; it must be a string that is not empty', 'bad_words'],
    [{ min_tokens: -1 }, 'min_tokens is -1; it must be at least 0', 'min_tokens'],
    [{ prompt_logprobs: 21 }, 'prompt_logprobs is 21; it must be from 0 to 20', 'prompt_logprobs'],
    [{ prompt_logprobs: -1 }, 'prompt_logprobs is -1; it must be from 0 to 20', 'prompt_logprobs'],
    [
      { prompt_logprobs: 1, stream: true },
      'prompt_logprobs is 1; it is only possible without stream',
      'prompt_logprobs',
    ],
    [{ truncate_prompt_tokens: 0 }, /^truncate_prompt_tokens is 0; it must be at least 1/, 'truncate_prompt_tokens'],
    [{ cache_salt: '' }, 'cache_salt is ""; it must be a string that is not empty', 'cache_salt'],
    [{ stream_options: {} }, 'stream_options is {}; it is only possible if stream is true', 'stream_options'],
    [
      { stream: true, stream_options: { include_usage: 1 } },
      'stream_options.include_usage is 1; it must be a boolean',
      'stream_options.include_usage',
    ],
    [{ stream: 'yes' }, 'stream is "yes"; it must be a boolean', 'stream'],
    [
      { response_format: { type: 'json_object' } },
      'response_format is {"type":"json_object"}; only {"type":"text"} is supported',
      'response_format',
    ],
    [
      { structured_outputs: { json: {} } },
      'structured_outputs is {"json":{}}; this field is not supported',
      'structured_outputs',
    ],
    [{ guided_regex: 'a' }, 'guided_regex is "a"; this field is not supported', 'guided_regex'],
    [{ use_beam_search: true }, 'use_beam_search is true; only false is supported', 'use_beam_search'],
    [{ truncation_side: 'middle' }, /^truncation_side is "middle"; it must be .*`left` to truncate/, 'truncation_side'],
    [
      { prompt_logprobs_temperature: 2 },
      'prompt_logprobs_temperature is 2; only 1 is supported',
      'prompt_logprobs_temperature',
    ],
  ])('%.80j is refused', async (fields, message, param) => {
    const refusal = await refusalOf(route, { ...body, ...fields });
    expect(refusal).toMatchObject({ status: 400, param, code: 'invalid_request' });
    expect(refusal.message).toMatch(message);
    expect(JSON.stringify(refusal).length).toBeLessThan(2000);
  });

  test.each(['tgi', 'dummy'])('%s is a name of every model', async (model) => {
    expect(await requestFor(route, { ...body, model })).toMatchObject({ n: 1 });
  });

  test('a long name of an unknown model is cut', async () => {
    const { message } = await refusalOf(route, { ...body, model: 'x'.repeat(300) });
    expect(message).toContain(`The model \`${'x'.repeat(200)}…\` does not exist`);
  });

  test.each(['opt', 'http://127.0.0.1:8080', 'https://weft.example/api'])('%s names the model', async (model) => {
    expect(await requestFor(route, { ...body, model })).toBeDefined();
  });

  test('an unknown model is not found', async () => {
    expect(await refusalOf(route, { ...body, model: 'gpt-5' })).toEqual({
      status: 404,
      message: 'The model `gpt-5` does not exist; this server has `facebook/opt-125m`, `opt`',
      param: 'model',
      code: 'model_not_found',
    });
  });
});
