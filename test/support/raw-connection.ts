import { once } from 'node:events';
import { type AddressInfo, connect, type Server, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** A connection to a server that listens in this process. It stays half open, and is gone after the test. */
export async function connectTo(server: Server): Promise<Socket> {
  const address = server.address() as AddressInfo | string;
  const where = typeof address === 'string' ? { path: address } : { host: address.address, port: address.port };
  const socket = connect({ ...where, allowHalfOpen: true });
  onTestFinished(() => void socket.destroy());
  // What the server does to it is seen by whoever reads it.
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.pause();
  return socket;
}

/** The bytes of a `POST /generate`. */
export function postOf(body: unknown, headers = ''): string {
  const text = JSON.stringify(body);
  return `POST /generate HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${text.length}\r\n${headers}\r\n${text}`;
}

/** What comes, up to a text or, without one, to the end. */
export async function readUntil(socket: Socket, text?: string): Promise<string> {
  let read = '';
  while (text === undefined || !read.includes(text)) {
    const chunk: Buffer | null = socket.read();
    if (chunk !== null) read += chunk;
    else if (socket.readableEnded) break;
    else await moreOf(socket);
  }
  return read;
}

async function moreOf(socket: Socket): Promise<void> {
  const waiting = new AbortController();
  const { signal } = waiting;
  await Promise.race([once(socket, 'readable', { signal }), once(socket, 'end', { signal })]);
  waiting.abort();
}
