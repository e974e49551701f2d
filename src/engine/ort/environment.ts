import { ortApi, type Pointer } from './native.ts';
import { create } from './status.ts';

/** Only fatal errors are logged. All others are thrown. */
const logLevelFatal = 4;

let made: Pointer | undefined;

/** Lives as long as the process. ONNX Runtime needs one environment, created before and released after everything else. */
export function environment(): Pointer {
  made ??= create((out) => ortApi().createEnv(logLevelFatal, 'weft', out));
  return made;
}
