import type { FastifySchema } from 'fastify';
import type { TObject, TSchema } from 'typebox';

/** Removes fields that are null: many clients send null for "not set". Runs before validation. */
export function dropNulls(body: unknown, { properties }: TObject): void {
  if (typeof body !== 'object' || body === null) return;
  const fields = body as Record<string, unknown>;
  for (const field of Object.keys(properties)) if (fields[field] === null) delete fields[field];
}

interface SchemaWithBody extends FastifySchema {
  readonly body: TObject;
}

/** The schema of a route as clients see it: fields that may be left out may also be null. */
export function withNulls(schema: FastifySchema): FastifySchema {
  if (!hasBody(schema)) return schema;
  const { body } = schema;
  const fields = Object.entries(body.properties).map(([name, field]) => {
    return [name, body.required?.includes(name) ? field : orNull(field)];
  });
  return { ...schema, body: { ...body, properties: Object.fromEntries(fields) } };
}

function hasBody(schema: FastifySchema): schema is SchemaWithBody {
  return schema?.body !== undefined;
}

function orNull(field: TSchema): object {
  const { type, anyOf } = field as { readonly type?: string; readonly anyOf?: readonly object[] };
  return anyOf === undefined ? { ...field, type: [type, 'null'] } : { ...field, anyOf: [...anyOf, { type: 'null' }] };
}
