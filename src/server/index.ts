export { buildServer, type HttpServer } from './build-server.ts';
