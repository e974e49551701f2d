import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const begin = '<!-- race: written by npm run bench -- --update-readme -->';
const end = '<!-- /race -->';
const readme = fileURLToPath(new URL('../../README.md', import.meta.url));

/** Replaces the text between the README's markers. @throws {Error} the markers are missing */
export function updateReadme(content: string): void {
  const text = readFileSync(readme, 'utf8');
  writeFileSync(readme, withSection(text, content));
}

/** @throws {Error} the text has no markers */
export function withSection(text: string, content: string): string {
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from < 0 || to < from) throw new Error(`README.md lacks its markers ${begin} and ${end}`);
  return `${text.slice(0, from + begin.length)}\n\n${content}\n\n${text.slice(to)}`;
}
