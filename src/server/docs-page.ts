import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';

/** Lets the page load nothing from other hosts. It lacks `upgrade-insecure-requests`, which would break the page without HTTPS. */
const contentSecurityPolicy = {
  'default-src': "'self'",
  'style-src': "'self'",
  'img-src': "'self' data:",
  'object-src': "'none'",
  'base-uri': "'none'",
  'frame-ancestors': "'none'",
};

/** Adds `/docs`, a page that shows the routes of `/openapi.json` and can call them. It needs `@fastify/swagger`. */
export async function addDocsPage(app: FastifyInstance): Promise<void> {
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: contentSecurityPolicy,
    theme: { title: 'Weft' },
    uiConfig: { layout: 'BaseLayout', docExpansion: 'list', defaultModelsExpandDepth: -1 },
  });
}
