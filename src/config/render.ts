import { hubVariables } from './hub-environment.ts';
import { flagOf, type SettingKey, serveKeys, settingKeys, settings, variableOf } from './settings.ts';

/** Flags with what they do, for `--help`. */
export function renderFlags(keys: readonly SettingKey[] = serveKeys): string {
  const width = Math.max(...keys.map((key) => flagOf(key).length)) + 2;
  return keys
    .map((key) => `  ${flagOf(key).padEnd(width)}${settings[key].description}\n${' '.repeat(width + 4)}${facts(key)}`)
    .join('\n');
}

/** The settings as a table, for docs/configuration.md. */
export function renderMarkdown(): string {
  const rows = settingKeys.map((key) => {
    const { description, allowed } = settings[key];
    return `| \`${flagOf(key)}\` | \`${variableOf(key)}\` | ${defaultOf(key)} | ${allowed} | ${description} |`;
  });
  return ['| flag | variable | default | allowed | |', '| --- | --- | --- | --- | --- |', ...rows].join('\n');
}

function facts(key: SettingKey): string {
  return `${settings[key].allowed}; default ${defaultOf(key)}; ${variableOf(key)}`;
}

function defaultOf(key: SettingKey): string {
  const setting = settings[key];
  return setting.defaultText ?? String(setting.default);
}

/** The variables of the Hugging Face hub that Weft heeds, for `--help`. */
export function renderHubVariables(): string {
  const entries = Object.entries(hubVariables);
  const width = Math.max(...entries.map(([name]) => name.length)) + 2;
  return entries.map(([name, description]) => `  ${name.padEnd(width)}${description}`).join('\n');
}
