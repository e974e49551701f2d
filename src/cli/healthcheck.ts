/** The containers' health check: ends with 0 if the server of this environment takes requests. */
import { loadSettings } from '../config/index.ts';

const { port } = loadSettings([], process.env);
const response = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined);
process.exitCode = response?.ok ? 0 : 1;
