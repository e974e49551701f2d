import type { Socket } from 'node:net';

/** Finds out, by checking at regular intervals, whether the client of a connection reads the data that waits for it. */
export class SendProgress {
  #takenBytes: number | undefined;
  #numChecksWithout = 0;

  /**
   * Counts checks rather than time: if this process was suspended, the client is not to blame.
   * @returns how many checks in a row found that the client has taken nothing, not even the end of a closed connection
   */
  check(socket: Socket): number {
    const isWaiting = socket.writableLength > 0 || socket.writableEnded;
    const takenBytes = isWaiting ? takenBytesOf(socket) : undefined;
    this.#numChecksWithout = isWaiting && takenBytes === this.#takenBytes ? this.#numChecksWithout + 1 : 0;
    this.#takenBytes = takenBytes;
    return this.#numChecksWithout;
  }
}

/** Node's internal counters, which `socket.setTimeout` uses too. The public ones change only when a whole write is done. */
interface StreamHandle {
  readonly bytesWritten: number;
  readonly writeQueueSize: number;
}

/** How many bytes the kernel has taken. */
function takenBytesOf(socket: Socket): number {
  const { _handle: handle } = socket as Socket & { readonly _handle?: StreamHandle | null };
  return handle ? handle.bytesWritten - handle.writeQueueSize : 0;
}
