import { describe, expect, test } from 'vitest';
import { ContextLengthError, InvalidParameterError } from '../../../../src/core/index.ts';
import { unsupportedInChat, unsupportedInCompletions } from '../../../../src/server/dialects/openai/unsupported.ts';
import { chat, completion, type Route, refusalOf, startOpenai } from './openai-app.ts';

type ParameterFault = ConstructorParameters<typeof InvalidParameterError>[0];

describe('an error of the engine names the field', () => {
  const outside = 'is 9, which is out of vocabulary; the 9 token ids of this model are 0 to 8';
  test.each<[Route, object, ParameterFault, string, string]>([
    ['complete', { prompt: [1, 9] }, { parameter: 'prompts', path: [1], problem: outside }, 'prompt[1]', 'prompt'],
    ['complete', { prompt: [[9]] }, { parameter: 'prompts', path: [0], problem: outside }, 'prompt[0][0]', 'prompt'],
    [
      'complete',
      { prompt: [[1], [9]] },
      { parameter: 'prompts', path: [1, 0], problem: outside },
      'prompt[1][0]',
      'prompt',
    ],
    ['complete', completion, { parameter: 'prompts', problem: outside }, 'prompt', 'prompt'],
    ['complete', { ...completion, n: 60 }, { parameter: 'n', problem: outside }, 'n', 'n'],
    ['complete', { ...completion, best_of: 60 }, { parameter: 'n', problem: outside }, 'best_of', 'best_of'],
    ['complete', completion, { parameter: 'maxNewTokens', problem: outside }, 'max_tokens', 'max_tokens'],
    ['complete', completion, { parameter: 'logitBias', problem: outside }, 'logit_bias', 'logit_bias'],
    [
      'complete',
      completion,
      { parameter: 'stopTokenIds', path: [2], problem: outside },
      'stop_token_ids[2]',
      'stop_token_ids',
    ],
    ['chat', chat, { parameter: 'prompts', problem: outside }, 'the prompt made of messages', 'messages'],
    ['chat', { ...chat, max_tokens: 5 }, { parameter: 'maxNewTokens', problem: outside }, 'max_tokens', 'max_tokens'],
    [
      'chat',
      { ...chat, max_completion_tokens: 5 },
      { parameter: 'maxNewTokens', problem: outside },
      'max_completion_tokens',
      'max_completion_tokens',
    ],
  ])('%s %j', async (route, body, fault, name, param) => {
    const app = await startOpenai();
    app.generator.refusal = new InvalidParameterError(fault);
    const { error } = (await app[route](body)).json();
    expect([error.message, error.param]).toEqual([`${name} ${outside}`, param]);
  });

  test('with the code of the error', async () => {
    const { complete, generator } = await startOpenai();
    generator.refusal = new ContextLengthError({ parameter: 'prompts', problem: 'has 200 tokens' });
    const reply = await complete(completion);
    expect([reply.status, reply.json()]).toEqual([
      400,
      {
        error: {
          message: 'prompt has 200 tokens',
          type: 'invalid_request_error',
          param: 'prompt',
          code: 'context_length_exceeded',
        },
      },
    ]);
  });
});

describe('log probabilities that would be too many for a whole reply', () => {
  const tooMany = 'asks for up to 100800 log probabilities: 21 for each of 100 new tokens, in each of 48 answers';
  const message = (field: string) => `${field} ${tooMany}; at most 100000 can be in a reply that is not streamed`;

  test.each<[Route, object, string]>([
    ['complete', { ...completion, n: 48, max_tokens: 100, logprobs: 20 }, 'logprobs'],
    ['complete', { prompt: ['a', 'b'], n: 24, max_tokens: 100, logprobs: 20 }, 'logprobs'],
    // The context of the model is 100.
    ['chat', { ...chat, n: 48, logprobs: true, top_logprobs: 20 }, 'top_logprobs'],
  ])('are refused: %s %j', async (route, body, field) => {
    expect(await refusalOf(route, body)).toMatchObject({ status: 400, message: message(field), param: field });
    const { generator, [route]: send } = await startOpenai();
    await send({ ...body, stream: true });
    expect(generator.requests).toHaveLength(1);
  });

  test('of a prompt are blamed on the field that asks for them', async () => {
    const fault: ParameterFault = { parameter: 'numPromptLogprobs', problem: 'asks for too many' };
    const app = await startOpenai();
    app.generator.refusal = new InvalidParameterError(fault);
    const paramOf = async (fields: object) => (await app.complete({ ...completion, ...fields })).json().error.param;
    expect(await paramOf({ echo: true, logprobs: 1 })).toBe('logprobs');
    expect(await paramOf({ prompt_logprobs: 1 })).toBe('prompt_logprobs');
  });
});

describe('a field that is not supported is refused even if it is nested too deeply to be written:', () => {
  const deep = '['.repeat(100_000) + ']'.repeat(100_000);
  const fieldsOf = (url: string, fields: object) => Object.keys(fields).map((field) => [url, field] as const);

  test.each([
    ...fieldsOf('/v1/completions', unsupportedInCompletions),
    ...fieldsOf('/v1/chat/completions', unsupportedInChat),
  ])('%s with %s', async (url, field) => {
    const { app } = await startOpenai();
    const body = `{"${field}":${deep},${JSON.stringify({ ...completion, ...chat }).slice(1)}`;
    const reply = await app.inject({ method: 'POST', url, headers: { 'content-type': 'application/json' }, body });
    expect(reply.statusCode).toBe(400);
    expect(reply.json().error).toMatchObject({ code: 'invalid_request', param: field });
  });
});
