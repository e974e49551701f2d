import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { ModelError, messageOf, namedTemplates, show, tokenizerFiles } from '../core/index.ts';
import { type JsonObject, readJsonFile, readTextFile } from '../files/index.ts';
import { chatLimits } from './limits.ts';

/** The chat templates of a model's folder. */
export interface ModelTemplates {
  /** By name. The usual one is called `default`. */
  readonly templates: ReadonlyMap<string, string>;
  /** The texts of the special tokens by their names, such as `bos_token`. */
  readonly specialTokens: Readonly<Record<string, string>>;
}

const { maxCharacters, maxNamedTemplates } = chatLimits;
/** A character takes up to four bytes. */
const maxBytes = 4 * maxCharacters;

/**
 * Reads the chat templates of a folder, and those of its special tokens that templates use. As with transformers, templates in files of
 * their own replace those in the tokenizer's configuration.
 * @throws {ModelError} a file cannot be read, or holds something else
 */
export async function readTemplates(folder: string): Promise<ModelTemplates> {
  const config = (await readJsonFile(folder, tokenizerFiles.config)) ?? {};
  const specialTokensMap = (await readJsonFile(folder, tokenizerFiles.specialTokens)) ?? {};
  const inFiles = await templatesInFiles(folder);
  const templates = inFiles.size > 0 ? inFiles : templatesInConfig(config.chat_template);
  for (const [name, template] of templates) {
    if (template.length <= maxCharacters) continue;
    throw new ModelError(
      `the chat template ${show(name)} has ${template.length} characters; at most ${maxCharacters} are allowed`,
    );
  }
  return { templates, specialTokens: specialTokensOf({ ...specialTokensMap, ...config }) };
}

async function templatesInFiles(folder: string): Promise<Map<string, string>> {
  const templates = new Map<string, string>();
  const { folder: others, extension } = namedTemplates;
  const byDefault = await readTextFile(folder, tokenizerFiles.chatTemplate, { maxBytes });
  if (byDefault !== undefined) templates.set('default', byDefault);
  const files = (await filesIn(path.join(folder, others))).filter((file) => file.endsWith(extension)).sort();
  if (files.length > maxNamedTemplates) {
    throw new ModelError(`${others} has ${files.length} templates; at most ${maxNamedTemplates} are allowed`);
  }
  for (const file of files) {
    const template = await readTextFile(path.join(folder, others), file, { maxBytes });
    if (template !== undefined) templates.set(file.slice(0, -extension.length), template);
  }
  return templates;
}

async function filesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return [];
    throw new ModelError(`${folder} cannot be read: ${messageOf(error)}`);
  });
}

/** A template, or a list of templates with names. */
function templatesInConfig(declared: unknown): Map<string, string> {
  if (declared === undefined || declared === null) return new Map();
  if (typeof declared === 'string') return new Map([['default', declared]]);
  if (Array.isArray(declared) && declared.length <= maxNamedTemplates && declared.every(isNamedTemplate)) {
    return new Map(declared.map(({ name, template }) => [name, template]));
  }
  throw new ModelError(
    `${tokenizerFiles.config}: chat_template is ${show(declared)}, not a template or a list of up to ${maxNamedTemplates} templates with names`,
  );
}

function isNamedTemplate(value: unknown): value is { readonly name: string; readonly template: string } {
  const { name, template } = (value ?? {}) as JsonObject;
  return typeof name === 'string' && typeof template === 'string';
}

const specialTokenNames = ['bos', 'eos', 'unk', 'sep', 'pad', 'cls', 'mask'].map((name) => `${name}_token`);

function specialTokensOf(config: JsonObject): Record<string, string> {
  const entries = specialTokenNames.flatMap((name): [string, string][] => {
    const declared = config[name];
    const text = typeof declared === 'object' && declared !== null ? (declared as JsonObject).content : declared;
    return typeof text === 'string' ? [[name, text]] : [];
  });
  return Object.fromEntries(entries);
}
