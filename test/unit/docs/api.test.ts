import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { startServer } from '../../support/fake-generator.ts';
import { fieldTable, type Schema } from '../../support/field-table.ts';
import { filled, sectionsOf } from '../../support/filled.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const file = path.join(root, 'docs/api.md');
const document = readFileSync(file, 'utf8');
const examples = readdirSync(path.join(root, 'examples'));

/** The bodies of all `POST` routes by name. Where a route takes several kinds of bodies, the name has the required field. */
async function bodies(): Promise<ReadonlyMap<string, Schema>> {
  const { app } = await startServer();
  const { paths } = (await app.inject('/openapi.json')).json();
  const named = Object.entries<{ post?: { requestBody?: { content: Record<string, { schema: Schema }> } } }>(paths);
  return new Map(
    named.flatMap(([url, { post }]): [string, Schema][] => {
      const schema = post?.requestBody?.content['application/json']?.schema;
      if (schema?.anyOf === undefined) return schema === undefined ? [] : [[`POST ${url}`, schema]];
      return schema.anyOf.map((each) => [`POST ${url} with ${each.required?.join()}`, each]);
    }),
  );
}

const languages: Readonly<Record<string, string>> = { '.mjs': 'js', '.py': 'python', '.sh': 'sh' };

function exampleOf(name: string): string {
  const content = readFileSync(path.join(root, 'examples', name), 'utf8').trim();
  return `\`\`\`${languages[path.extname(name)]}\n${content}\n\`\`\``;
}

// `npx vitest run test/unit/docs -u` updates the sections.
test('docs/api.md has the fields of every route and the examples as they are', async () => {
  const schemas = await bodies();
  const render = (section: string): string => {
    const [kind = '', name = ''] = section.split(': ');
    if (kind === 'example' && examples.includes(name)) return exampleOf(name);
    const schema = kind === 'fields' ? schemas.get(name) : undefined;
    if (schema === undefined) throw new Error(`docs/api.md has a section "${section}", but there is no such thing`);
    return fieldTable(schema);
  };
  await expect(filled(document, render)).toMatchFileSnapshot(file);
  // Routes with the same fields share a table.
  const tables = new Map([...schemas].reverse().map(([name, schema]) => [fieldTable(schema), name]));
  const expected = [
    ...[...tables.values()].map((name) => `fields: ${name}`),
    ...examples.map((name) => `example: ${name}`),
  ];
  expect(sectionsOf(document).sort()).toEqual(expected.sort());
});
