import { describe, expect, test } from 'vitest';
import { commands } from '../../../src/cli/command-table.ts';
import { helpOf, overview } from '../../../src/cli/help.ts';
import { publishedShapes } from '../../../src/model/index.ts';

describe.each(commands)('the help of weft $name', (command) => {
  test('has at most 100 columns', () => {
    expect(
      helpOf(command)
        .split('\n')
        .filter(({ length }) => length > 100),
    ).toEqual([]);
  });

  test('shows an example of this command', () => {
    expect(command.example).toMatch(new RegExp(`^weft ${command.name}( |$)`));
  });
});

test('the overview has every command, and at most 100 columns', () => {
  for (const { name, summary } of commands) expect(overview()).toContain(`  ${name}`.padEnd(18) + summary);
  expect(
    overview()
      .split('\n')
      .filter(({ length }) => length > 100),
  ).toEqual([]);
});

test('the help of weft models random names all shapes', () => {
  const random = commands.find(({ name }) => name === 'models random');
  for (const shape of publishedShapes()) expect(random?.details).toContain(shape);
});
