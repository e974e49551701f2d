import { describe, expect, test } from 'vitest';
import { ServingError } from '../../../src/core/index.ts';
import { type GenerateOptions, type Prompt, toRequest } from '../../../src/library/generate-options.ts';

test('options become a request, and the rest is filled in', () => {
  const sampling = { temperature: 0.5, topK: 3, topP: 0.9, seed: -1 };
  expect(toRequest([5, 6], { ...sampling, maxNewTokens: 7, stop: 'x', ignoreEos: true })).toEqual({
    id: expect.any(String),
    prompt: [5, 6],
    maxNewTokens: 7,
    stop: ['x'],
    ignoreEos: true,
    sampling,
  });
  expect(toRequest('Hi', { temperature: undefined, stop: ['a', 'b'] })).toMatchObject({
    maxNewTokens: undefined,
    stop: ['a', 'b'],
    ignoreEos: false,
    sampling: { temperature: 0, topK: 0, topP: 1, seed: expect.any(Number) },
  });
});

describe('an error names the parameter, its value and what is allowed:', () => {
  test.each<[unknown, unknown, string, string]>([
    ['', {}, 'prompt', 'prompt is ""; it must be a non-empty string, or a non-empty list of token ids'],
    [[], {}, 'prompt', 'prompt is []; it must be a non-empty string, or a non-empty list of token ids'],
    [undefined, {}, 'prompt', 'prompt is undefined; it must be a non-empty string, or a non-empty list of token ids'],
    [[1, -2], {}, 'prompt', 'prompt[1] is -2; it must be an integer of at least 0'],
    ['x', { maxNewTokens: 0 }, 'maxNewTokens', 'maxNewTokens is 0; it must be an integer of at least 1'],
    ['x', { maxNewTokens: '7' }, 'maxNewTokens', 'maxNewTokens is "7"; it must be an integer of at least 1'],
    ['x', { temperature: -1 }, 'temperature', 'temperature is -1; it must be a number of at least 0'],
    ['x', { temperature: Number.NaN }, 'temperature', 'temperature is NaN; it must be a number of at least 0'],
    ['x', { topK: -1 }, 'topK', 'topK is -1; it must be an integer of at least 0'],
    ['x', { topP: 0 }, 'topP', 'topP is 0; it must be a number greater than 0 and at most 1'],
    ['x', { seed: 1.5 }, 'seed', 'seed is 1.5; it must be an integer'],
    ['x', { stop: '' }, 'stop', 'stop is ""; it must be a non-empty string, or a list of non-empty strings'],
    ['x', { stop: ['a', 3] }, 'stop', 'stop is ["a",3]; it must be a non-empty string, or a list of non-empty strings'],
    ['x', { ignoreEos: 1 }, 'ignoreEos', 'ignoreEos is 1; it must be a boolean'],
    [
      'x',
      { max_new_tokens: 5 },
      'max_new_tokens',
      'unknown option "max_new_tokens"; the options are maxNewTokens, temperature, topK, topP, seed, stop, ignoreEos, signal',
    ],
  ])('%j %j', (prompt, options, param, message) => {
    const make = () => toRequest(prompt as Prompt, options as GenerateOptions);
    expect(make).toThrow(ServingError);
    expect(make).toThrow(expect.objectContaining({ code: 'invalid_request', param, message }));
  });
});
