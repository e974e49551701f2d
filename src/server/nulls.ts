import type { FastifySchema } from 'fastify';
import type { TObject, TSchema } from 'typebox';

/** Removes fields that are null, in nested objects too: many clients send null for "not set". Runs before validation. */
export function dropNulls(body: unknown, { properties }: TObject): void {
  if (typeof body !== 'object' || body === null) return;
  const fields = body as Record<string, unknown>;
  for (const [name, schema] of Object.entries(properties)) {
    if (fields[name] === null) delete fields[name];
    else if (isObjectSchema(schema)) dropNulls(fields[name], schema);
  }
}

function isObjectSchema(schema: TSchema): schema is TObject {
  return 'properties' in schema;
}

interface SchemaWithBody extends FastifySchema {
  readonly body: TSchema;
}

/** The schema of a route as clients see it: fields that may be left out may also be null. */
export function withNulls(schema: FastifySchema): FastifySchema {
  if (!hasBody(schema)) return schema;
  return { ...schema, body: withNullFields(schema.body) };
}

function withNullFields(schema: TSchema): TSchema {
  if ('anyOf' in schema) return { ...schema, anyOf: (schema.anyOf as TSchema[]).map(withNullFields) };
  if (!isObjectSchema(schema)) return schema;
  const fields = Object.entries(schema.properties).map(([name, field]) => {
    const nested = withNullFields(field);
    return [name, schema.required?.includes(name) ? nested : orNull(nested)];
  });
  return { ...schema, properties: Object.fromEntries(fields) };
}

function hasBody(schema: FastifySchema): schema is SchemaWithBody {
  return schema?.body !== undefined;
}

function orNull(field: TSchema): object {
  const { type, anyOf } = field as { readonly type?: string; readonly anyOf?: readonly object[] };
  return anyOf === undefined ? { ...field, type: [type, 'null'] } : { ...field, anyOf: [...anyOf, { type: 'null' }] };
}
