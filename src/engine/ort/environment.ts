import { ortApi, type Pointer } from './native.ts';
import { create } from './status.ts';

/** Only what ends the process is logged: everything else is thrown. */
const logLevelFatal = 4;

let made: Pointer | undefined;

/** Lives as long as the process: ONNX Runtime wants one environment, made before and released after everything else. */
export function environment(): Pointer {
  made ??= create((out) => ortApi().createEnv(logLevelFatal, 'weft', out));
  return made;
}
