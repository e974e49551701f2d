import { beforeEach, describe, expect, test } from 'vitest';
import { greedy, InvalidParameterError, requestDefaults } from '../../../../src/core/index.ts';
import { generateRoute } from '../../../../src/server/dialects/weft/index.ts';
import { startRoutes } from '../../../support/dialect-app.ts';

const { post, generator } = await startRoutes([generateRoute]);

beforeEach(() => {
  generator.requests.length = 0;
  generator.refusal = undefined;
});

/** The request that a body stands for. */
async function requestOf(body: object) {
  expect((await post('/generate', body)).statusCode).toBe(200);
  return generator.requests.at(-1);
}

test('every field reaches the generator', async () => {
  const body = {
    prompt: 'Hi',
    n: 3,
    max_new_tokens: 7,
    min_new_tokens: 2,
    temperature: 0.5,
    top_k: 3,
    top_p: 0.9,
    min_p: 0.1,
    typical_p: 0.8,
    repetition_penalty: 1.1,
    presence_penalty: -2,
    frequency_penalty: 2,
    logit_bias: { 5: -100, 7: 1.5 },
    allowed_token_ids: [5, 6],
    bad_words: ['bad'],
    seed: 11,
    stop: 'x',
    stop_token_ids: [9],
    include_stop: true,
    ignore_eos: true,
    skip_special_tokens: false,
    add_special_tokens: false,
    truncate_prompt_tokens: 4,
    logprobs: 20,
    prompt_logprobs: 0,
    priority: -1,
    cache_salt: 'mine',
  };
  expect(await requestOf(body)).toEqual({
    id: expect.stringMatching(/^gen-/),
    prompts: ['Hi'],
    n: 3,
    maxNewTokens: 7,
    minNewTokens: 2,
    stop: ['x'],
    stopTokenIds: [9],
    includeStop: true,
    ignoreEos: true,
    skipSpecialTokens: false,
    addSpecialTokens: false,
    truncatePromptTokens: 4,
    truncationSide: 'left',
    badWords: ['bad'],
    sampling: {
      temperature: 0.5,
      topK: 3,
      topP: 0.9,
      minP: 0.1,
      typicalP: 0.8,
      repetitionPenalty: 1.1,
      presencePenalty: -2,
      frequencyPenalty: 2,
      logitBias: [
        [5, -100],
        [7, 1.5],
      ],
      allowedTokenIds: [5, 6],
      seed: 11,
    },
    numLogprobs: 20,
    reportPrompt: true,
    numPromptLogprobs: 0,
    priority: -1,
    cacheSalt: 'mine',
  });
});

test('a prompt alone is greedy, with defaults for the rest', async () => {
  expect(await requestOf({ prompt: 'Hi', top_k: -1 })).toEqual({
    ...requestDefaults,
    id: expect.any(String),
    prompts: ['Hi'],
    sampling: { ...greedy, seed: expect.any(Number) },
  });
});

test.each([
  ['Hi', ['Hi']],
  [[5, 6], [[5, 6]]],
  [
    ['a', 'b'],
    ['a', 'b'],
  ],
  [
    [[5], [6, 7]],
    [[5], [6, 7]],
  ],
  [
    ['a', [5]],
    ['a', [5]],
  ],
])('a prompt is text, token ids or a list of these: %j', async (prompt, prompts) => {
  expect((await requestOf({ prompt }))?.prompts).toEqual(prompts);
});

describe('a refusal names the field, its value and what is allowed:', () => {
  const prompts = 'a non-empty string, or a non-empty list of token ids';
  test.each<[object, string, string]>([
    [{ prompt: '' }, 'prompt', `prompt is ""; it must be ${prompts}, or a non-empty list of such prompts`],
    [{ prompt: [] }, 'prompt', `prompt is []; it must be ${prompts}, or a non-empty list of such prompts`],
    [{ prompt: 5 }, 'prompt', `prompt is 5; it must be ${prompts}, or a non-empty list of such prompts`],
    [{ prompt: [''] }, 'prompt', 'prompt[0] is ""; it must be a string that is not empty'],
    [{ prompt: [[]] }, 'prompt', 'prompt[0] is []; it must be a list that is not empty'],
    [{ prompt: ['a', 5] }, 'prompt', `prompt[1] is 5; it must be ${prompts}`],
    [{ prompt: [5, 'a'] }, 'prompt', 'prompt[1] is "a"; it must be an integer'],
    [{ prompt: [-1] }, 'prompt', 'prompt[0] is -1; it must be at least 0'],
    [{ prompt: [5, -1] }, 'prompt', 'prompt[1] is -1; it must be at least 0'],
    [{ prompt: [[5], [6, -1]] }, 'prompt', 'prompt[1][1] is -1; it must be at least 0'],
    [{ prompt: ['x', '\ud800'] }, 'prompt', 'prompt[1] contains half of a surrogate pair; it must be well-formed text'],
    [{ n: 0 }, 'n', 'n is 0; it must be at least 1'],
    [{ min_new_tokens: -1 }, 'min_new_tokens', 'min_new_tokens is -1; it must be at least 0'],
    [{ min_p: 1.5 }, 'min_p', 'min_p is 1.5; it must be from 0 to 1'],
    [{ typical_p: 0 }, 'typical_p', 'typical_p is 0; it must be greater than 0 and at most 1'],
    [{ repetition_penalty: 0 }, 'repetition_penalty', 'repetition_penalty is 0; it must be greater than 0'],
    [{ presence_penalty: -2.5 }, 'presence_penalty', 'presence_penalty is -2.5; it must be from -2 to 2'],
    [{ frequency_penalty: 3 }, 'frequency_penalty', 'frequency_penalty is 3; it must be from -2 to 2'],
    [{ logit_bias: { 5: 101 } }, 'logit_bias', 'logit_bias["5"] is 101; it must be from -100 to 100'],
    [
      { logit_bias: { five: 1 } },
      'logit_bias',
      'logit_bias is {"five":1}; it must be an object of up to 1024 token ids, as strings, and what to add to their logits, from -100 to 100',
    ],
    [
      { logit_bias: Object.fromEntries(Array.from({ length: 1025 }, (_, id) => [id, 1])) },
      'logit_bias',
      'logit_bias is {"0":1,"1":1,"2":1,"3":1,"4":1,"5":1,"6":1,"7":1,"8":1,"9":1…; it must be an object of up to 1024 token ids, as strings, and what to add to their logits, from -100 to 100',
    ],
    [{ allowed_token_ids: [] }, 'allowed_token_ids', 'allowed_token_ids is []; it must be a list that is not empty'],
    [{ bad_words: [''] }, 'bad_words', 'bad_words[0] is ""; it must be a string that is not empty'],
    [
      { bad_words: ['\ud800'] },
      'bad_words',
      'bad_words[0] contains half of a surrogate pair; it must be well-formed text',
    ],
    [{ stop_token_ids: [1.5] }, 'stop_token_ids', 'stop_token_ids[0] is 1.5; it must be an integer'],
    [
      { stop: Array(65).fill('x') },
      'stop',
      'stop is ["x","x","x","x","x","x","x","x","x","x","x","x","x","x","x"…; it must be text to stop in front of: a string of 1 to 1024 characters, or a list of up to 64 of them',
    ],
    [{ truncate_prompt_tokens: 0 }, 'truncate_prompt_tokens', 'truncate_prompt_tokens is 0; it must be at least 1'],
    [{ logprobs: 21 }, 'logprobs', 'logprobs is 21; it must be from 0 to 20'],
    [{ prompt_logprobs: -1 }, 'prompt_logprobs', 'prompt_logprobs is -1; it must be from 0 to 20'],
    [{ priority: 'high' }, 'priority', 'priority is "high"; it must be an integer'],
    [{ cache_salt: '' }, 'cache_salt', 'cache_salt is ""; it must be a string that is not empty'],
  ])('%j', async (fields, param, message) => {
    const response = await post('/generate', { prompt: 'Hi', ...fields });
    expect([response.statusCode, response.json()]).toEqual([
      400,
      { error: { message, type: 'invalid_request_error', param, code: 'invalid_request' } },
    ]);
    expect(generator.requests).toEqual([]);
  });
});

test.each([
  ['prompts', [2, 1], 'prompt[2][1] is 9'],
  ['numLogprobs', [], 'logprobs is 9'],
  ['numPromptLogprobs', [], 'prompt_logprobs is 9'],
  ['stopTokenIds', [3], 'stop_token_ids[3] is 9'],
  ['logitBias', [], 'logit_bias is 9'],
] as const)('an error of the generator names the field: %s', async (parameter, path, message) => {
  generator.refusal = new InvalidParameterError({ parameter, path, problem: 'is 9' });
  expect((await post('/generate', { prompt: 'Hi' })).json().error).toMatchObject({ message });
});
