import { once } from 'node:events';
import { type AddressInfo, connect, type Server, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** Connects to a server in this process. The socket may be half open; it is destroyed after the test. */
export async function connectTo(server: Server): Promise<Socket> {
  const address = server.address() as AddressInfo | string;
  const where = typeof address === 'string' ? { path: address } : { host: address.address, port: address.port };
  const socket = connect({ ...where, allowHalfOpen: true });
  onTestFinished(() => void socket.destroy());
  // A reset shows when a test reads from the socket.
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.pause();
  return socket;
}

/** A raw `POST /generate` request. */
export function postOf(body: unknown, headers = ''): string {
  const text = JSON.stringify(body);
  return `POST /generate HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${text.length}\r\n${headers}\r\n${text}`;
}

/** Reads up to a text or, without one, to the end. */
export async function readUntil(socket: Socket, text?: string): Promise<string> {
  let read = '';
  while (text === undefined || !read.includes(text)) {
    const chunk: Buffer | null = socket.read();
    if (chunk !== null) read += chunk;
    else if (socket.readableEnded) break;
    else await readableOrEnd(socket);
  }
  return read;
}

async function readableOrEnd(socket: Socket): Promise<void> {
  const waiting = new AbortController();
  const { signal } = waiting;
  await Promise.race([once(socket, 'readable', { signal }), once(socket, 'end', { signal })]);
  waiting.abort();
}
