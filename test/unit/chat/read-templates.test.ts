import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { readTemplates } from '../../../src/chat/read-templates.ts';
import { ModelError } from '../../../src/core/index.ts';
import { temporaryFolder } from '../../support/fixtures.ts';

/** A folder with these files. Objects are written as JSON. */
async function folderWith(files: Readonly<Record<string, string | object>>): Promise<string> {
  const folder = await temporaryFolder();
  for (const [name, content] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true });
    await writeFile(path.join(folder, name), typeof content === 'string' ? content : JSON.stringify(content));
  }
  return folder;
}

const templatesOf = async (files: Readonly<Record<string, string | object>>) =>
  Object.fromEntries((await readTemplates(await folderWith(files))).templates);

describe('the templates of a folder are', () => {
  test.each<[string, Readonly<Record<string, string | object>>, Readonly<Record<string, string>>]>([
    ['none', {}, {}],
    ['the one in its configuration', { 'tokenizer_config.json': { chat_template: 'a' } }, { default: 'a' }],
    [
      'those in its configuration by name',
      { 'tokenizer_config.json': { chat_template: [{ name: 'x', template: 'a' }] } },
      { x: 'a' },
    ],
    [
      'in a file of its own instead of the configuration',
      { 'tokenizer_config.json': { chat_template: 'a' }, 'chat_template.jinja': 'b\n' },
      { default: 'b\n' },
    ],
    [
      'in files by name, also without a default',
      { 'tokenizer_config.json': { chat_template: 'a' }, 'additional_chat_templates/x.jinja': 'c' },
      { x: 'c' },
    ],
    [
      'in files by name, besides the default, and nothing else',
      {
        'chat_template.jinja': 'b',
        'additional_chat_templates/x.jinja': 'c',
        'additional_chat_templates/x.txt': 'd',
      },
      { default: 'b', x: 'c' },
    ],
  ])('%s', async (_, files, templates) => {
    expect(await templatesOf(files)).toEqual(templates);
  });
});

test('special tokens are strings or objects; the configuration of the tokenizer wins', async () => {
  const folder = await folderWith({
    'special_tokens_map.json': { bos_token: '<a>', eos_token: '<b>', other_token: '<c>' },
    'tokenizer_config.json': { eos_token: { content: '<d>' }, pad_token: null, add_bos_token: true },
  });
  expect((await readTemplates(folder)).specialTokens).toEqual({ bos_token: '<a>', eos_token: '<d>' });
});

describe('a folder is refused', () => {
  const long = 'x'.repeat(2 ** 20 + 1);
  const many = Object.fromEntries(
    Array.from({ length: 65 }, (_, i) => [`additional_chat_templates/${i}.jinja`, 'x'] as const),
  );
  test.each<[string, Readonly<Record<string, string | object>>, RegExp]>([
    [
      'whose template is a number',
      { 'tokenizer_config.json': { chat_template: 7 } },
      /chat_template is 7, not a template/,
    ],
    [
      'whose templates have no names',
      { 'tokenizer_config.json': { chat_template: ['a'] } },
      /is \["a"\], not a template/,
    ],
    ['with a long template', { 'chat_template.jinja': long }, /"default" has 1048577 characters; at most 1048576/],
    ['with many templates', many, /has 65 templates; at most 64 are allowed/],
    ['whose template is a folder', { 'chat_template.jinja/a': '' }, /it is a directory, not a regular file/],
  ])('%s', async (_, files, message) => {
    const folder = await folderWith(files);
    await expect(readTemplates(folder)).rejects.toThrow(message);
    await expect(readTemplates(folder)).rejects.toThrow(ModelError);
  });
});
