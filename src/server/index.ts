export { buildServer, type HttpServer, type ServerOptions } from './build-server.ts';
export { maxRefusedFor } from './connections.ts';
export { routes } from './routes.ts';
