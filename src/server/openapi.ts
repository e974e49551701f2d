import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger';
import { withNulls } from './nulls.ts';

/** Options of `/openapi.json`. In OpenAPI 3.1 schemas are JSON Schema, as in the routes. */
export function openApiOptions(version: string): FastifyDynamicSwaggerOptions {
  return {
    openapi: {
      openapi: '3.1.0',
      info: { title: 'Weft', description: 'LLM text generation with continuous batching', version },
    },
    transform: ({ schema, url }) => ({ schema: withNulls(schema), url }),
  };
}
