import { type Out, ortApi, type Pointer } from './native.ts';

/** A call to ONNX Runtime failed. The message is ONNX Runtime's. */
export class OrtError extends Error {
  override readonly name = 'OrtError';
}

/** @throws {OrtError} the call failed */
export function check(status: Pointer | null): void {
  if (status === null) return;
  const ort = ortApi();
  const error = new OrtError(ort.getErrorMessage(status));
  ort.releaseStatus(status);
  throw error;
}

/** The object that a call creates. @throws {OrtError} the call failed */
export function create(call: (out: Out) => Pointer | null): Pointer {
  const out: Out = [null];
  check(call(out));
  if (out[0] === null) throw new OrtError('ONNX Runtime returned neither an object nor an error');
  return out[0];
}

/** Why a call failed, on one line, without the names of ONNX Runtime's functions in front. */
export function reasonOf(error: unknown): string {
  const message = (error instanceof Error ? error.message : String(error)).replace(/\s+/g, ' ').trim();
  return /(?:was false\.|with error:|CUDA failure \d+:) ([^;]*)/.exec(message)?.[1]?.trim() ?? message;
}
