import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = new URL('../../', import.meta.url);

export const packageVersion: string = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')).version;

/** The model that comes with the package. */
export const embeddedModelFolder = fileURLToPath(new URL('models/opt-stories', root));
