import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import path from 'node:path';

/** The unprivileged user that runs all build steps and the image. */
export const nobody = 65534;

/** A command and its arguments. */
export type Command = readonly [program: string, args: readonly string[]];

/** A stage of a Dockerfile: an overlay on this machine's own files, which replace the base image. */
export class Stage {
  /** The files that the stage has changed or added. */
  readonly layer: string;
  /** All files of the stage. */
  readonly files: string;
  workdir = '/';
  readonly env: Record<string, string> = {};
  readonly owner: number;
  user = 'root';
  entrypoint: readonly string[] = [];
  healthcheck: readonly string[] = [];

  /** @param folder must not exist yet @param owner of all files that `--chown` does not give to another user */
  constructor(folder: string, owner: number) {
    this.owner = owner;
    this.layer = path.join(folder, 'layer');
    this.files = path.join(folder, 'files');
    const work = path.join(folder, 'work');
    for (const each of [this.layer, this.files, work]) mkdirSync(each, { recursive: true });
    shell(`mount -t overlay overlay -o lowerdir=/,upperdir=${this.layer},workdir=${work} ${this.files}
      mount --rbind /proc ${this.files}/proc
      mount --rbind /dev ${this.files}/dev`);
  }

  /** The command that runs something in the stage, as {@link nobody}. */
  command(args: readonly string[], env: Readonly<Record<string, string>> = {}): Command {
    const all = { PATH: process.env.PATH ?? '', HOME: '/nonexistent', ...this.env, ...env };
    const assignments = Object.entries(all).map(([name, value]) => `${name}=${value}`);
    const rights = `--reuid=${nobody} --regid=${nobody} --clear-groups --no-new-privs`;
    const inside = `cd ${this.workdir} && exec setpriv ${rights} "$@"`;
    return ['chroot', [this.files, 'env', '-i', ...assignments, 'sh', '-c', inside, 'sh', ...args]];
  }

  /** Makes the stage read-only. */
  freeze(): void {
    shell(`mount -o remount,ro ${this.files}`);
  }
}

/** @throws {Error} the script fails */
export function shell(script: string): void {
  execFileSync('bash', ['-euc', script], { stdio: 'inherit' });
}
