import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { show, UserError } from '../core/index.ts';

/** How this machine uses the Hugging Face hub. */
export interface HubEnvironment {
  /** Without a slash at its end. */
  readonly endpoint: string;
  readonly token: string | undefined;
  readonly isOffline: boolean;
  /** The cache that all Hugging Face programs of a user share. */
  readonly cacheDir: string;
}

/** The variables that the Hugging Face libraries have in common, as far as they are heeded here. */
export const hubVariables = {
  HF_TOKEN: 'access token, for models that are private or gated; otherwise what `hf auth login` has saved',
  HF_ENDPOINT: 'the hub, or a mirror of it; https://huggingface.co',
  HF_HUB_OFFLINE: '1: use only what is on this machine',
  HF_HUB_CACHE: 'where models of the hub are kept; $HF_HOME/hub',
  HF_HOME: 'where Hugging Face programs keep their files; ~/.cache/huggingface',
} as const;

/**
 * Reads them. Source: https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables
 * @throws {UserError} HF_ENDPOINT is no address
 */
export function loadHubEnvironment(environment: Readonly<Record<string, string | undefined>>): HubEnvironment {
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
    throw new UserError(`HF_ENDPOINT is ${show(written)}; it has to be an address like https://huggingface.co`);
  }
  return written.replace(/\/+$/, '');
}

/** Nobody else may read it in a message. */
function checkedToken(token: string | undefined): string | undefined {
  if (token === undefined || /^[\x21-\x7e]+$/.test(token)) return token;
  throw new UserError('HF_TOKEN (or the saved token) holds characters that no token has');
}

/** The folder, `~` being the user's own. */
export function inHome(folder: string): string {
  return path.resolve(folder.replace(/^~(?=$|[/\\])/, homedir()));
}

function savedToken(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim() || undefined;
  } catch {
    return undefined;
  }
}
