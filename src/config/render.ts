import { hubVariables } from './hub-environment.ts';
import { allowedBy, defaultOf, flagOf, type SettingKey, settings, variableOf } from './settings.ts';

/** The widest line of `--help`. */
const maxColumns = 100;

/** Flags and what they do, for `--help`. */
export function renderFlags(keys: readonly SettingKey[]): string {
  return renderEntries(
    keys.map((key) => [flagOf(key), `${settings[key].description} [${allowedBy(key)}; default: ${defaultOf(key)}]`]),
  );
}

/** The variables of the Hugging Face libraries that Weft uses, for `--help`. */
export function renderHubVariables(): string {
  return renderEntries(Object.entries(hubVariables));
}

/** Names on the left, their wrapped explanations on the right. */
export function renderEntries(entries: readonly (readonly [name: string, explanation: string])[]): string {
  const indent = Math.max(...entries.map(([name]) => name.length)) + 4;
  return entries.map(([name, explanation]) => `  ${name}`.padEnd(indent) + wrap(explanation, indent)).join('\n');
}

/** Breaks a text into lines, each indented except the first. */
export function wrap(text: string, indent: number): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && indent + line.length + 1 + word.length > maxColumns) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line].join(`\n${' '.repeat(indent)}`);
}

/** Settings as a table, for docs/configuration.md. */
export function renderMarkdown(keys: readonly SettingKey[]): string {
  const rows = keys.map((key) => {
    const { description } = settings[key];
    return `| \`${flagOf(key)}\` | \`${variableOf(key)}\` | ${defaultOf(key)} | ${allowedBy(key)} | ${description} |`;
  });
  return ['| flag | variable | default | allowed | |', '| --- | --- | --- | --- | --- |', ...rows].join('\n');
}
