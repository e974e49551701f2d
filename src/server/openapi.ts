import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger';
import type { FastifySchema } from 'fastify';
import type { TObject, TSchema } from 'typebox';

/** What `/openapi.json` is made of besides the routes. Version 3.1: its schemas are JSON Schema, as the routes' are. */
export function openApiOptions(version: string): FastifyDynamicSwaggerOptions {
  return {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Weft', description: 'LLM text generation with continuous batching', version },
    },
    transform: ({ schema, url }) => ({ schema: isWithBody(schema) ? withNulls(schema) : schema, url }),
  };
}

interface SchemaWithBody extends FastifySchema {
  readonly body: TObject;
}

function isWithBody(schema: FastifySchema): schema is SchemaWithBody {
  return schema?.body !== undefined;
}

/** Routes take a null as a field that is left out, before they look at their schema. */
function withNulls(schema: SchemaWithBody): FastifySchema {
  const { body } = schema;
  const fields = Object.entries(body.properties).map(([name, field]) => {
    return [name, body.required?.includes(name) ? field : orNull(field)];
  });
  return { ...schema, body: { ...body, properties: Object.fromEntries(fields) } };
}

function orNull(field: TSchema): object {
  const { type, anyOf } = field as { readonly type?: string; readonly anyOf?: readonly object[] };
  return anyOf === undefined ? { ...field, type: [type, 'null'] } : { ...field, anyOf: [...anyOf, { type: 'null' }] };
}
