import { execFileSync } from 'node:child_process';
import { cpSync, statSync } from 'node:fs';
import path from 'node:path';
import {
  type Copy,
  DockerfileParser,
  type Env,
  type From,
  type Instruction,
  type JSONInstruction,
} from 'dockerfile-ast';
import { nobody, Stage, shell } from './stage.ts';

/** Where COPY may read from. */
interface Sources {
  readonly stages: ReadonlyMap<string, Stage>;
  /** The folder of the build context. */
  readonly context: string;
}

type Step = (stage: Stage, instruction: Instruction, sources: Sources) => void;

/** What Docker does for each instruction that this Dockerfile uses. */
const steps: Readonly<Record<string, Step>> = {
  WORKDIR: (stage, instruction) => {
    stage.workdir = instruction.getArgumentsContent() ?? '';
    const folder = stage.files + stage.workdir;
    shell(`mkdir -p ${folder} && chown ${stage.owner} ${folder}`);
  },
  COPY: (stage, instruction, sources) => copy(stage, instruction as Copy, sources),
  RUN: (stage, instruction) => {
    if (instruction.getArgumentsContent()?.startsWith('--')) throw new Error('flags of RUN are not supported here');
    const [program, args] = stage.command(['sh', '-euc', instruction.getArgumentsContent() ?? ''], npmEnvironment());
    execFileSync(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  },
  ENV: (stage, instruction) => {
    for (const property of (instruction as Env).getProperties()) {
      stage.env[property.getName()] = property.getValue() ?? '';
    }
  },
  HEALTHCHECK: (stage, instruction) => {
    stage.healthcheck = JSON.parse(/CMD (\[.*\])/s.exec(instruction.getArgumentsContent() ?? '')?.[1] ?? '[]');
  },
  ENTRYPOINT: (stage, instruction) => {
    stage.entrypoint = (instruction as JSONInstruction).getJSONStrings().map((each) => JSON.parse(each.getValue()));
  },
  USER: (stage, instruction) => {
    stage.user = instruction.getArgumentsContent() ?? '';
  },
  EXPOSE: () => {},
};

/**
 * Builds stages of a Dockerfile.
 * @param wanted names of the stages, including those that others copy from
 * @returns the last of them, the image
 */
export function build(
  dockerfile: string,
  { wanted, context, folder }: { wanted: readonly string[]; context: string; folder: string },
  onStep: (line: string) => void,
): Stage {
  const stages = new Map<string, Stage>();
  for (const { name, base, instructions } of parse(dockerfile)) {
    if (!wanted.includes(name)) continue;
    if (stages.has(base)) throw new Error(`${name} starts from the stage ${base}, which is not supported here`);
    // A build stage belongs to the user who builds; the files of the image belong to root.
    const stage = new Stage(path.join(folder, name), name === wanted.at(-1) ? 0 : nobody);
    stages.set(name, stage);
    for (const instruction of instructions) {
      const keyword = instruction.getKeyword();
      onStep(`${keyword} ${instruction.getRawArgumentsContent()?.replace(/\s+/g, ' ') ?? ''}`);
      const step = steps[keyword];
      if (step === undefined) throw new Error(`${keyword} is not supported yet: add it to ${import.meta.url}`);
      step(stage, instruction, { stages, context });
    }
  }
  const image = stages.get(wanted.at(-1) ?? '');
  if (image === undefined) throw new Error(`the Dockerfile has no stage ${wanted.at(-1)}`);
  return image;
}

/** The stages: each FROM with the instructions that follow it. */
function parse(dockerfile: string): { name: string; base: string; instructions: Instruction[] }[] {
  const parsed: ReturnType<typeof parse> = [];
  for (const instruction of DockerfileParser.parse(dockerfile).getInstructions()) {
    if (instruction.getKeyword() === 'FROM') {
      const from = instruction as From;
      parsed.push({ name: from.getBuildStage() ?? '', base: from.getImage() ?? '', instructions: [] });
    } else {
      parsed.at(-1)?.instructions.push(instruction);
    }
  }
  return parsed;
}

function copy(stage: Stage, instruction: Copy, { stages, context }: Sources): void {
  const flags = new Map(instruction.getFlags().map((flag) => [flag.getName(), flag.getValue() ?? '']));
  const source = flags.get('from');
  const from = source === undefined ? context : stages.get(source)?.files;
  if (from === undefined) throw new Error(`there is no stage ${source} to copy from`);
  const values = instruction.getArguments().map((argument) => argument.getValue());
  const target = values.pop() ?? '';
  const unknown = [...flags.keys()].filter((flag) => !['from', 'chown'].includes(flag));
  if (unknown.length > 0) throw new Error(`COPY --${unknown[0]} is not supported here`);
  const owner = flags.has('chown') ? nobody : stage.owner;
  for (const value of values) {
    // COPY copies the contents of a folder, not the folder.
    const isFile = statSync(path.join(from, value)).isFile();
    const name = isFile && target.endsWith('/') ? path.basename(value) : '';
    const to = path.join(stage.files, stage.workdir, target, name);
    cpSync(path.join(from, value), to, { recursive: true, preserveTimestamps: true, verbatimSymlinks: true });
    shell(`chown -R ${owner} ${to}`);
  }
}

/** The variables that tell npm how to reach its registry on this machine. */
function npmEnvironment(): Record<string, string> {
  const isOfNetwork = /^(npm_config_(registry|cafile)|NODE_EXTRA_CA_CERTS|.*_proxy)$/i;
  const names = Object.keys(process.env).filter((name) => isOfNetwork.test(name));
  const kept = Object.fromEntries(names.map((name) => [name, process.env[name] ?? '']));
  return { npm_config_update_notifier: 'false', npm_config_cache: '/tmp/npm', ...kept };
}
