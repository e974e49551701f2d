import { describe, expect, test } from 'vitest';
import {
  ContextLengthError,
  EngineError,
  greedy,
  InvalidParameterError,
  type Prompt,
  requestDefaults,
  ServingError,
} from '../../../src/core/index.ts';
import type { GenerateOptions } from '../../../src/library/generate-options.ts';
import { inOptions, toRequest } from '../../../src/library/to-request.ts';

test('options become a request', () => {
  const sampling = {
    temperature: 0.5,
    topK: 3,
    topP: 0.9,
    minP: 0.1,
    typicalP: 0.8,
    repetitionPenalty: 1.1,
    presencePenalty: -2,
    frequencyPenalty: 2,
    allowedTokenIds: [5, 6],
    seed: -1,
  };
  const same = {
    n: 3,
    maxNewTokens: 7,
    minNewTokens: 2,
    stopTokenIds: [9],
    includeStop: true,
    ignoreEos: true,
    skipSpecialTokens: false,
    addSpecialTokens: false,
    truncatePromptTokens: 4,
    badWords: ['bad'],
    priority: -1,
    cacheSalt: 'mine',
  };
  const options = { ...same, ...sampling, logitBias: { 5: -100, 7: 1.5 }, stop: 'x', logprobs: 20, promptLogprobs: 0 };
  expect(toRequest([5, 6], options)).toEqual({
    ...same,
    id: expect.any(String),
    prompts: [[5, 6]],
    truncationSide: 'left',
    stop: ['x'],
    sampling: {
      ...sampling,
      logitBias: [
        [5, -100],
        [7, 1.5],
      ],
    },
    numLogprobs: 20,
    reportPrompt: true,
    numPromptLogprobs: 0,
  });
});

test('options that are left out or undefined have their defaults', () => {
  const request = {
    ...requestDefaults,
    id: expect.any(String),
    prompts: ['Hi'],
    sampling: { ...greedy, seed: expect.any(Number) },
  };
  expect(toRequest('Hi', {})).toEqual(request);
  expect(toRequest('Hi', { temperature: undefined, n: undefined, logprobs: undefined })).toEqual(request);
});

describe('an error names the parameter, its value and what is allowed:', () => {
  const prompts = 'a non-empty string, or a non-empty list of token ids';
  const stops = 'a string of 1 to 1024 characters, or a list of up to 64 of them';
  const badWords = 'a list of up to 256, each a string of 1 to 1024 characters';
  const logitBias = 'an object of up to 1024 token ids and numbers from -100 to 100';
  test.each<[unknown, unknown, string, string]>([
    ['', {}, 'prompt', `prompt is ""; it must be ${prompts}`],
    [[], {}, 'prompt', `prompt is []; it must be ${prompts}`],
    [undefined, {}, 'prompt', `prompt is undefined; it must be ${prompts}`],
    [[1, -2], {}, 'prompt', 'prompt[1] is -2; it must be an integer of at least 0'],
    ['a\ud800', {}, 'prompt', 'prompt contains half of a surrogate pair; it must be well-formed text'],
    ['x', { n: 0 }, 'n', 'n is 0; it must be an integer of at least 1'],
    ['x', { maxNewTokens: 0 }, 'maxNewTokens', 'maxNewTokens is 0; it must be an integer of at least 1'],
    ['x', { maxNewTokens: '7' }, 'maxNewTokens', 'maxNewTokens is "7"; it must be an integer of at least 1'],
    ['x', { minNewTokens: -1 }, 'minNewTokens', 'minNewTokens is -1; it must be an integer of at least 0'],
    ['x', { temperature: -1 }, 'temperature', 'temperature is -1; it must be a number of at least 0'],
    ['x', { temperature: Number.NaN }, 'temperature', 'temperature is NaN; it must be a number of at least 0'],
    ['x', { topK: -1 }, 'topK', 'topK is -1; it must be an integer of at least 0'],
    ['x', { topP: 0 }, 'topP', 'topP is 0; it must be a number greater than 0 and at most 1'],
    ['x', { minP: 2 }, 'minP', 'minP is 2; it must be a number from 0 to 1'],
    ['x', { typicalP: 1.1 }, 'typicalP', 'typicalP is 1.1; it must be a number greater than 0 and at most 1'],
    ['x', { repetitionPenalty: 0 }, 'repetitionPenalty', 'repetitionPenalty is 0; it must be a number greater than 0'],
    ['x', { presencePenalty: 3 }, 'presencePenalty', 'presencePenalty is 3; it must be a number from -2 to 2'],
    ['x', { frequencyPenalty: -3 }, 'frequencyPenalty', 'frequencyPenalty is -3; it must be a number from -2 to 2'],
    ['x', { logitBias: { 5: 101 } }, 'logitBias', `logitBias is {"5":101}; it must be ${logitBias}`],
    ['x', { logitBias: { five: 1 } }, 'logitBias', `logitBias is {"five":1}; it must be ${logitBias}`],
    ['x', { logitBias: [[5, 1]] }, 'logitBias', `logitBias is [[5,1]]; it must be ${logitBias}`],
    [
      'x',
      { allowedTokenIds: [] },
      'allowedTokenIds',
      'allowedTokenIds is []; it must be a non-empty list of token ids',
    ],
    ['x', { badWords: 'bad' }, 'badWords', `badWords is "bad"; it must be ${badWords}`],
    ['x', { badWords: [''] }, 'badWords', `badWords is [""]; it must be ${badWords}`],
    ['x', { seed: 1.5 }, 'seed', 'seed is 1.5; it must be an integer'],
    ['x', { stop: '' }, 'stop', `stop is ""; it must be ${stops}`],
    ['x', { stop: ['a', 3] }, 'stop', `stop is ["a",3]; it must be ${stops}`],
    ['x', { stop: '\ud800' }, 'stop', `stop is "\\ud800"; it must be ${stops}`],
    ['x', { stopTokenIds: [-1] }, 'stopTokenIds', 'stopTokenIds is [-1]; it must be a list of up to 1024 token ids'],
    ['x', { ignoreEos: 1 }, 'ignoreEos', 'ignoreEos is 1; it must be a boolean'],
    [
      'x',
      { truncatePromptTokens: 0 },
      'truncatePromptTokens',
      'truncatePromptTokens is 0; it must be an integer of at least 1',
    ],
    ['x', { logprobs: 21 }, 'logprobs', 'logprobs is 21; it must be an integer from 0 to 20'],
    ['x', { promptLogprobs: 0.5 }, 'promptLogprobs', 'promptLogprobs is 0.5; it must be an integer from 0 to 20'],
    ['x', { priority: 0.5 }, 'priority', 'priority is 0.5; it must be an integer'],
    ['x', { cacheSalt: '' }, 'cacheSalt', 'cacheSalt is ""; it must be a string of 1 to 1024 characters'],
    [
      'x',
      { max_new_tokens: 5 },
      'max_new_tokens',
      'unknown option "max_new_tokens"; the options are n, maxNewTokens, minNewTokens, temperature, topK, topP, minP, typicalP, repetitionPenalty, presencePenalty, frequencyPenalty, logitBias, allowedTokenIds, badWords, seed, stop, stopTokenIds, includeStop, ignoreEos, skipSpecialTokens, addSpecialTokens, truncatePromptTokens, logprobs, promptLogprobs, priority, cacheSalt, signal',
    ],
  ])('%j %j', (prompt, options, param, message) => {
    const make = () => toRequest(prompt as Prompt, options as GenerateOptions);
    expect(make).toThrow(ServingError);
    expect(make).toThrow(expect.objectContaining({ code: 'invalid_request', param, message }));
  });

  test('of a list that is too long', () => {
    const make = () => toRequest('x', { stop: Array(10_000).fill('x') });
    expect(make).toThrow(expect.objectContaining({ param: 'stop', message: expect.stringContaining(stops) }));
  });
});

test.each<[unknown, object]>([
  [
    new ContextLengthError({ parameter: 'prompts', problem: 'has 600 tokens' }),
    { code: 'context_length_exceeded', param: 'prompt', message: 'prompt has 600 tokens' },
  ],
  [
    new InvalidParameterError({ parameter: 'numPromptLogprobs', problem: 'is 21' }),
    { param: 'promptLogprobs', message: 'promptLogprobs is 21' },
  ],
  [new InvalidParameterError({ parameter: 'n', problem: 'is 9' }), { param: 'n', message: 'n is 9' }],
  [new EngineError('out of memory'), { code: 'engine_failed', message: 'out of memory' }],
])('an error of the generator names the option: %s', (error, expected) => {
  expect(inOptions(error)).toMatchObject(expected);
});
