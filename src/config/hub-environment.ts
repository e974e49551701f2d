import { readFileSync } from 'node:fs';
import path from 'node:path';
import { show, UserError } from '../core/index.ts';
import type { Environment } from './environment.ts';
import { inHome } from './user-folders.ts';

/** How this machine uses the Hugging Face hub. */
export interface HubEnvironment {
  /** Has no slash at the end. */
  readonly endpoint: string;
  readonly token: string | undefined;
  readonly isOffline: boolean;
  /** The cache that all Hugging Face programs of this user share. */
  readonly cacheDir: string;
}

/** The variables of the Hugging Face libraries that Weft uses, too. */
export const hubVariables = {
  HF_TOKEN: 'Access token for private and gated models. Defaults to the token that `hf auth login` saved.',
  HF_ENDPOINT: 'Address of the hub or of a mirror. Defaults to https://huggingface.co.',
  HF_HUB_OFFLINE: 'Set to 1 to use only models that are on this machine.',
  HF_HUB_CACHE: 'Folder of downloaded models. Defaults to $HF_HOME/hub.',
  HF_HOME: 'Folder of all Hugging Face programs. Defaults to ~/.cache/huggingface.',
} as const;

/**
 * Reads the variables. Source: https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables
 * @throws {UserError} HF_ENDPOINT is not an address, or the token is malformed
 */
export function loadHubEnvironment(environment: Environment): HubEnvironment {
  const given = (name: string) => environment[name]?.trim() || undefined;
  const home = inHome(given('HF_HOME') ?? path.join(given('XDG_CACHE_HOME') ?? '~/.cache', 'huggingface'));
  return {
    endpoint: endpointOf(given('HF_ENDPOINT') ?? 'https://huggingface.co'),
    token: checkedToken(given('HF_TOKEN') ?? savedToken(inHome(given('HF_TOKEN_PATH') ?? path.join(home, 'token')))),
    isOffline: /^(1|on|yes|true)$/i.test(given('HF_HUB_OFFLINE') ?? ''),
    cacheDir: inHome(given('HF_HUB_CACHE') ?? given('HUGGINGFACE_HUB_CACHE') ?? path.join(home, 'hub')),
  };
}

function endpointOf(written: string): string {
  if (!/^https?:$/.test(URL.canParse(written) ? new URL(written).protocol : '')) {
    throw new UserError(`HF_ENDPOINT is ${show(written)}; it must be an address like https://huggingface.co`);
  }
  return written.replace(/\/+$/, '');
}

/** The message does not show the token: it is a secret. */
function checkedToken(token: string | undefined): string | undefined {
  if (token === undefined || /^[\x21-\x7e]+$/.test(token)) return token;
  throw new UserError('HF_TOKEN (or the saved token) contains characters that are not allowed in a token');
}

function savedToken(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim() || undefined;
  } catch {
    return undefined;
  }
}
