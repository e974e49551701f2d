export { buildServer, type HttpServer, type ServerOptions } from './build-server.ts';
