import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import path from 'node:path';

/** Who has no rights: all steps run as this user, the image too. */
export const nobody = 65534;

/** A command and its arguments. */
export type Command = readonly [program: string, args: readonly string[]];

/** A stage of a Dockerfile: an overlay on this machine's own files, which stand for the base image. */
export class Stage {
  /** What it has changed of the files below it. */
  readonly layer: string;
  /** All of its files. */
  readonly files: string;
  workdir = '/';
  readonly env: Record<string, string> = {};
  readonly owner: number;
  user = 'root';
  entrypoint: readonly string[] = [];
  healthcheck: readonly string[] = [];

  /** @param folder one that is not there yet @param owner whose everything is that is not given away */
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

  /** How to run something in the stage, as nobody. */
  command(args: readonly string[], env: Readonly<Record<string, string>> = {}): Command {
    const all = { PATH: process.env.PATH ?? '', HOME: '/nonexistent', ...this.env, ...env };
    const assignments = Object.entries(all).map(([name, value]) => `${name}=${value}`);
    const rights = `--reuid=${nobody} --regid=${nobody} --clear-groups --no-new-privs`;
    const inside = `cd ${this.workdir} && exec setpriv ${rights} "$@"`;
    return ['chroot', [this.files, 'env', '-i', ...assignments, 'sh', '-c', inside, 'sh', ...args]];
  }

  /** From here on nothing can be written. */
  freeze(): void {
    shell(`mount -o remount,ro ${this.files}`);
  }
}

/** @throws {Error} it fails */
export function shell(script: string): void {
  execFileSync('bash', ['-euc', script], { stdio: 'inherit' });
}
