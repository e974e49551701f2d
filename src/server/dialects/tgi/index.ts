export { tgiErrors } from './errors.ts';
export { infoRoute } from './info.ts';
export { generateRoute, rootRoute, streamRoute } from './routes.ts';
