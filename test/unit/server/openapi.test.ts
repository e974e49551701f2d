import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { expect, test } from 'vitest';
import { startServer } from '../../support/fake-generator.ts';

async function openApi() {
  const { app } = await startServer();
  return (await app.inject('/openapi.json')).json();
}

/** Every schema of the document. */
function schemasIn(value: unknown): object[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => (key === 'schema' ? [inner] : schemasIn(inner)));
}

test('/openapi.json is valid OpenAPI 3.1, and its schemas are valid JSON Schema', async () => {
  const document = await openApi();
  expect(document.openapi).toMatch(/^3\.1\./);
  expect(await new Validator().validate(document)).toEqual({ valid: true });
  const schemas = schemasIn(document.paths);
  expect(schemas.length).toBeGreaterThan(5);
  const ajv = new Ajv2020({ strict: true, allowUnionTypes: true });
  for (const schema of schemas) expect(() => ajv.compile(schema)).not.toThrow();
});

test('/openapi.json has defaults, bounds and nullable fields', async () => {
  const { paths } = await openApi();
  const { schema: both } = paths['/generate'].post.requestBody.content['application/json'];
  const [schema, tgi] = both.anyOf;
  expect(tgi).toMatchObject({ required: ['inputs'] });
  expect(schema).toMatchObject({ required: ['prompt'], additionalProperties: false });
  expect(schema.properties).toMatchObject({
    temperature: { type: ['number', 'null'], minimum: 0, default: 0 },
    top_p: { exclusiveMinimum: 0, maximum: 1, default: 1 },
    max_new_tokens: { type: ['integer', 'null'], minimum: 1, default: 128 },
  });
  expect(Object.keys(paths).sort()).toEqual([
    '/',
    '/detokenize',
    '/generate',
    '/generate_stream',
    '/health',
    '/info',
    '/livez',
    '/readyz',
    '/tokenize',
    '/v1/chat/completions',
    '/v1/completions',
    '/v1/models',
    '/v1/models/{id}',
    '/version',
  ]);
  const isAllowed = new Ajv2020({ allowUnionTypes: true }).compile(schema);
  const fields = ['max_new_tokens', 'temperature', 'top_k', 'top_p', 'seed', 'stop', 'ignore_eos', 'stream'];
  expect(isAllowed({ prompt: 'x', ...Object.fromEntries(fields.map((field) => [field, null])) })).toBe(true);
  expect(isAllowed({ prompt: null })).toBe(false);
  expect(isAllowed({ prompt: 'x', top_p: 0 })).toBe(false);
});

test('no element of a list is a union: validating one that fits its second type creates an error, and lists are long', async () => {
  const { paths } = await openApi();
  const bodies = Object.values<{ readonly post?: { readonly requestBody?: object } }>(paths).map(
    ({ post }) => post?.requestBody,
  );
  const elements = elementsIn(bodies);
  expect(elements.length).toBeGreaterThan(10);
  expect(elements.filter((element) => 'anyOf' in element)).toEqual([]);
});

/** The schemas of the elements of all lists. */
function elementsIn(value: unknown): object[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => [...(key === 'items' ? [inner] : []), ...elementsIn(inner)]);
}
