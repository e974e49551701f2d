import type { Server } from 'node:http';
import { createServer, isIPv6, type Socket } from 'node:net';

/**
 * `localhost` has an IPv4 and an IPv6 address, and a server listens on only one of them. A second listener hands its connections to the
 * same server. (Fastify would start a second HTTP server, to which the limits of the first do not apply.)
 * @returns a function that stops listening and resolves when the connections of the second listener are closed
 */
export function listenOnBothFamilies(server: Server): () => Promise<void> {
  const other = createServer({ allowHalfOpen: true, noDelay: true }, (socket: Socket) => {
    server.emit('connection', socket);
  });
  // Not every machine has both families.
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
