import type { Socket } from 'node:net';

/** Tells, from looks at regular intervals, whether the client of a connection takes what waits for it. */
export class SendProgress {
  #takenBytes: number | undefined;
  #numLooksWithout = 0;

  /**
   * Looks are counted, not the time between them: after a pause of this process, the client is not to blame.
   * @returns how many looks in a row found that the client has taken nothing, not even the end of a closed connection
   */
  look(socket: Socket): number {
    const isWaiting = socket.writableLength > 0 || socket.writableEnded;
    const takenBytes = isWaiting ? takenBytesOf(socket) : undefined;
    this.#numLooksWithout = isWaiting && takenBytes === this.#takenBytes ? this.#numLooksWithout + 1 : 0;
    this.#takenBytes = takenBytes;
    return this.#numLooksWithout;
  }
}

/** Node's own counts, by which `socket.setTimeout` goes, too: the public ones change only when a whole write is done. */
interface StreamHandle {
  readonly bytesWritten: number;
  readonly writeQueueSize: number;
}

/** Bytes that the kernel has taken. */
function takenBytesOf(socket: Socket): number {
  const { _handle: handle } = socket as Socket & { readonly _handle?: StreamHandle | null };
  return handle ? handle.bytesWritten - handle.writeQueueSize : 0;
}
