import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { readTemplates } from '../../../src/chat/read-templates.ts';
import { compile, renderPrompt } from '../../../src/chat/render-prompt.ts';
import type { ChatMessage } from '../../../src/core/index.ts';
import { chatFixtures } from '../../support/fixtures.ts';

interface Expected {
  /** Of every case. */
  readonly variables: Readonly<Record<string, unknown>>;
  readonly chats: Readonly<Record<string, readonly ChatMessage[]>>;
  readonly cases: readonly {
    readonly chat: string;
    readonly add_generation_prompt?: boolean;
    readonly continue_final_message?: boolean;
    /** The number of messages to use. */
    readonly upto?: number;
    readonly variables?: Readonly<Record<string, unknown>>;
    readonly template?: string;
  }[];
  /** By folder; null where there is an error. */
  readonly prompts: Readonly<Record<string, readonly (string | null)[]>>;
}

const expected: Expected = JSON.parse(readFileSync(path.join(chatFixtures, 'expected.json'), 'utf8'));
const folders = readdirSync(chatFixtures, { withFileTypes: true }).filter((entry) => entry.isDirectory());

describe.each(folders.map(({ name }) => name))('the templates of %s', (folder) => {
  test('give the same prompts as with transformers', async () => {
    const { templates, specialTokens } = await readTemplates(path.join(chatFixtures, folder));
    const found = expected.cases.map((one) => {
      const template = templates.get(one.template ?? 'default') ?? one.template;
      try {
        return renderPrompt(compile(template ?? '{{ raise_exception("there is none") }}'), {
          messages: expected.chats[one.chat]?.slice(0, one.upto) ?? [],
          addGenerationPrompt: one.add_generation_prompt ?? true,
          continueFinalMessage: one.continue_final_message ?? false,
          variables: { ...specialTokens, ...expected.variables, ...one.variables },
        });
      } catch {
        return null;
      }
    });
    for (const [i, prompt] of expected.prompts[folder]?.entries() ?? []) {
      const one = expected.cases[i];
      // Where a message has no content, more templates work here.
      if (prompt !== null || one?.chat !== 'null')
        expect.soft({ ...one, prompt: found[i] }).toEqual({ ...one, prompt });
    }
  });
});
