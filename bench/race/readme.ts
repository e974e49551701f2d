import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const begin = '<!-- race: written by npm run bench -- --update-readme -->';
const end = '<!-- /race -->';
const readme = fileURLToPath(new URL('../../README.md', import.meta.url));

/** Puts text between the markers of the README. @throws {Error} they are not there */
export function updateReadme(content: string): void {
  const text = readFileSync(readme, 'utf8');
  writeFileSync(readme, withSection(text, content));
}

/** @throws {Error} the text has no such section */
export function withSection(text: string, content: string): string {
  const from = text.indexOf(begin);
  const to = text.indexOf(end);
  if (from < 0 || to < from) throw new Error(`README.md lacks its markers ${begin} and ${end}`);
  return `${text.slice(0, from + begin.length)}\n\n${content}\n\n${text.slice(to)}`;
}
