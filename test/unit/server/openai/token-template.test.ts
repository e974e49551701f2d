import { expect, test } from 'vitest';
import { tokenTemplate } from '../../../../src/server/dialects/openai/token-template.ts';

test('a template writes what serializing the whole chunk would give', () => {
  // A name that looks like the places to fill in.
  const model = 'a"index":0,"text":""';
  const chunkOf = (index: number, text: string) => ({ model, choices: [{ index, text, logprobs: null }], usage: null });
  const template = tokenTemplate(chunkOf(0, ''));
  for (const [index, text] of [
    [0, ''],
    [12, 'a "quoted"\nline'],
    [3, '$& \u2028 \ud83d'],
  ] as const) {
    expect(template(index, text)).toBe(JSON.stringify(chunkOf(index, text)));
  }
});
