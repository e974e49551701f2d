export { weftErrors } from './errors.ts';
export { generateRoute } from './generate-route.ts';
