import { describe, expect, test } from 'vitest';
import { ChatPrompts } from '../../../src/chat/chat-prompts.ts';
import { JobRenderer } from '../../../src/chat/job-renderer.ts';
import type { ModelTemplates } from '../../../src/chat/read-templates.ts';
import type { RenderReply } from '../../../src/chat/render-job.ts';
import type { ChatMessage, ChatPromptOptions } from '../../../src/core/index.ts';
import { InvalidRequestError } from '../../../src/core/index.ts';

/** Prompts without a thread. */
function promptsOf(model: Partial<ModelTemplates> | { readonly problem: string }, reply?: RenderReply) {
  const full = 'problem' in model ? model : { templates: new Map(), specialTokens: {}, ...model };
  return new ChatPrompts({
    model: full,
    beginning: '</s>',
    createRenderer: (data) => {
      const renderer = new JobRenderer(data);
      return { render: async (job) => reply ?? renderer.render(JSON.parse(job)), dispose: async () => {} };
    },
  });
}

const options: ChatPromptOptions = {
  addGenerationPrompt: true,
  continueFinalMessage: false,
  template: undefined,
  variables: {},
  signal: new AbortController().signal,
};

const user: ChatMessage = { role: 'user', content: 'Hi' };
const assistant: ChatMessage = { role: 'assistant', content: 'Hello' };

async function refusal(prompt: Promise<string>): Promise<{ message: string; param: string | undefined }> {
  const error: unknown = await prompt.catch((thrown: unknown) => thrown);
  if (error instanceof InvalidRequestError) return { message: error.message, param: error.param };
  throw new Error('it was not refused', { cause: error });
}

describe('a model without a template gets a transcript', () => {
  const prompts = promptsOf({ specialTokens: { bos_token: '<never>' } });

  test('with the special tokens of any text in front', async () => {
    const system: ChatMessage = { role: 'system', content: 'Be brief.' };
    expect(await prompts.render([system, user, assistant, user], options)).toBe(
      '</s>Be brief.\n\nUser: Hi\nAssistant: Hello\nUser: Hi\nAssistant:',
    );
  });

  test('whose last message can be continued', async () => {
    const continued = { ...options, addGenerationPrompt: false, continueFinalMessage: true };
    expect(await prompts.render([user, assistant], continued)).toBe('</s>User: Hi\nAssistant: Hello');
  });
});

describe('the template is', () => {
  const model = {
    templates: new Map([
      ['default', '{{ bos_token }}D'],
      ['other', 'O'],
    ]),
    specialTokens: { bos_token: '<s>' },
  };

  test.each([
    [undefined, {}, '<s>D'],
    ['other', {}, 'O'],
    ['own {{ messages[0].content }}', {}, 'own Hi'],
    ['unknown', {}, 'unknown'],
    [undefined, { bos_token: '' }, 'D'],
    ['{{ a.b }}{{ eos_token }}', { a: { b: 1 } }, '1'],
  ])('%j with the variables %j', async (template, variables, prompt) => {
    expect(await promptsOf(model).render([user], { ...options, template, variables })).toBe(prompt);
  });

  test('has to be named if the model has no default', async () => {
    const prompts = promptsOf({ templates: new Map([['a', 'x']]) });
    expect(await refusal(prompts.render([user], options))).toEqual({
      message: 'the model has no default chat template; chat_template must be one of "a", or a template',
      param: 'chat_template',
    });
    expect(await prompts.render([user], { ...options, template: 'a' })).toBe('x');
  });

  test('of the request itself if those of the model cannot be read', async () => {
    const prompts = promptsOf({ problem: 'x.jinja is a directory' });
    expect(await refusal(prompts.render([user], options))).toEqual({
      message: "the model's chat template cannot be used: x.jinja is a directory",
      param: 'messages',
    });
    expect(await prompts.render([user], { ...options, template: 'own' })).toBe('own');
  });
});

describe('a chat is refused that', () => {
  const model = { templates: new Map([['default', '{{ raise_exception("Only " ~ 1) }}']]) };

  test.each<[string, readonly ChatMessage[], Partial<ChatPromptOptions>, string, string]>([
    ['has no messages', [], {}, 'messages is empty', 'messages'],
    ['the template refuses', [user], {}, 'the chat template refuses the messages: Only 1', 'messages'],
    [
      'begins and continues an answer',
      [user],
      { continueFinalMessage: true },
      'add_generation_prompt and continue_final_message are both true; a prompt either begins an answer or continues the last message',
      'continue_final_message',
    ],
    [
      'sets messages a second time',
      [user],
      { variables: { messages: [] } },
      'chat_template_kwargs has messages, which is a field of the request itself',
      'chat_template_kwargs',
    ],
    [
      'has a template with a syntax error',
      [user],
      { template: '{% if %}' },
      'chat_template cannot be rendered: ',
      'chat_template',
    ],
    [
      'calls a function that does not exist',
      [user],
      { template: '{{ nothing() }}' },
      'chat_template cannot be rendered: Cannot call something that is not a function',
      'chat_template',
    ],
    [
      'has a long template',
      [user],
      { template: 'x'.repeat(2 ** 20 + 1) },
      'chat_template has 1048577 characters; at most 1048576 are allowed',
      'chat_template',
    ],
    [
      'is long',
      [{ role: 'user', content: 'x'.repeat(2 ** 21) }],
      {},
      'messages and chat_template_kwargs have 2097282 characters as JSON; at most 2097152 are allowed',
      'messages',
    ],
    [
      'cannot be continued where the template drops its end',
      [{ role: 'user', content: 'Hi' }],
      { addGenerationPrompt: false, continueFinalMessage: true, template: 'nothing' },
      'the last message cannot be continued: its text is not in the prompt as it is',
      'messages',
    ],
  ])('%s', async (_, messages, changes, message, param) => {
    const refused = await refusal(promptsOf(model).render(messages, { ...options, ...changes }));
    expect(refused).toEqual({ message: expect.stringContaining(message), param });
  });

  test('is nested so deeply that it cannot be written', async () => {
    let deep: unknown = [];
    for (let i = 0; i < 100_000; i++) deep = [deep];
    const refused = await refusal(promptsOf(model).render([user], { ...options, variables: { deep } }));
    expect(refused).toEqual({
      message: expect.stringMatching(/^messages cannot be written as JSON/),
      param: 'messages',
    });
  });

  test('makes the template give a long reason, which is cut', async () => {
    const prompts = promptsOf({ templates: new Map([['default', '{{ raise_exception(messages[0].content) }}']]) });
    const { message } = await refusal(prompts.render([{ role: 'user', content: 'a\nb'.repeat(100_000) }], options));
    expect(message).toMatch(/^the chat template refuses the messages: a ba b/);
    expect(message.length).toBeLessThan(600);
  });

  test.each([
    [undefined, "the model's chat template", 'messages'],
    ['own', 'chat_template', 'chat_template'],
  ])('takes too long; the fault is of the template if it is the request’s own (%s)', async (template, name, param) => {
    const failure = { kind: 'too slow', reason: 'it takes longer than 1000 ms' } as const;
    expect(await refusal(promptsOf(model, { failure }).render([user], { ...options, template }))).toEqual({
      message: `${name} cannot be rendered: it takes longer than 1000 ms`,
      param,
    });
  });
});
