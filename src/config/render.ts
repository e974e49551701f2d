import { flagOf, type SettingKey, settingKeys, settings, variableOf } from './settings.ts';

/** The flags with what they do, for `--help`. */
export function renderFlags(): string {
  const width = Math.max(...settingKeys.map((key) => flagOf(key).length)) + 2;
  return settingKeys
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
