import type { Server } from 'node:http';
import { createServer, isIPv6, type Socket } from 'node:net';

/**
 * `localhost` is an address in each family, and a server listens on one of them. What connects to the other one is handed to it.
 * (Fastify would start a second HTTP server, which knows nothing of what the first one limits and notices.)
 * @returns stops listening, and resolves when what came this way is closed
 */
export function listenOnBothFamilies(server: Server): () => Promise<void> {
  const other = createServer({ allowHalfOpen: true, noDelay: true }, (socket: Socket) => {
    server.emit('connection', socket);
  });
  // Not every machine has both.
  other.on('error', () => {});
  other.on('drop', (data) => server.emit('drop', data));
  server.on('listening', () => {
    const address = server.address();
    if (address === null || typeof address === 'string') return;
    other.maxConnections = server.maxConnections;
    other.listen({ host: isIPv6(address.address) ? '127.0.0.1' : '::1', port: address.port });
  });
  return () =>
    new Promise((resolve) => {
      other.close(() => resolve());
      server.closeIdleConnections();
    });
}
