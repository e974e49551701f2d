import {
  flagOf,
  packageVersion,
  renderEntries,
  renderFlags,
  renderHubVariables,
  variableOf,
  wrap,
} from '../config/index.ts';
import { type Command, commands } from './command-table.ts';

/** `weft --help`: all commands, one line each. */
export function overview(): string {
  return `Weft ${packageVersion} serves language models over HTTP, with continuous batching.

Usage: weft COMMAND [ARGUMENTS] [FLAGS]

Commands:
${listOf(commands)}

Examples:
  weft serve                        serve the small model that comes with Weft
  weft serve facebook/opt-125m      serve a model from the Hugging Face hub

weft COMMAND --help explains a command and its flags. weft --version prints the version.
`;
}

/** `weft GROUP --help`: the commands of a group. */
export function helpOfGroup(group: string, members: readonly Command[]): string {
  return `Usage: weft ${group} COMMAND [ARGUMENTS] [FLAGS]

Commands:
${listOf(members)}

weft ${group} COMMAND --help explains a command and its flags.
`;
}

/** `weft COMMAND --help`. */
export function helpOf(command: Command): string {
  const { summary, details, example, keys } = command;
  const [firstKey] = keys;
  const sections = [
    `Usage: ${usageOf(command)}`,
    wrap(details === undefined ? summary : `${summary} ${details}`, 0),
    `Example:\n  ${example}`,
    `Flags:\n${renderFlags(keys)}`,
    ...(firstKey === undefined ? [] : [variablesHint(firstKey)]),
    ...(keys.includes('cacheDir') ? [`Variables of the Hugging Face libraries:\n${renderHubVariables()}`] : []),
  ];
  return `${sections.join('\n\n')}\n`;
}

/** How a command is written. */
export function usageOf({ name, operands }: Command): string {
  return ['weft', name, ...operands, '[FLAGS]'].join(' ');
}

function variablesHint(example: Parameters<typeof flagOf>[0]): string {
  return wrap(
    `Every flag can also be set as an environment variable, for instance ${flagOf(example)} as ${variableOf(example)}. A flag takes precedence.`,
    0,
  );
}

function listOf(listed: readonly Command[]): string {
  return renderEntries(listed.map(({ name, summary }) => [name, summary]));
}
