#!/usr/bin/env node
import { renderFlags } from '../config/index.ts';
import { messageOf, UserError } from '../core/index.ts';
import { packageVersion } from './package-info.ts';
import { serve } from './serve.ts';

const help = `weft ${packageVersion}: LLM text generation with continuous batching

  weft serve [MODEL_DIR] [flags]   serve a Hugging Face OPT folder over HTTP; without one, the embedded model
  weft --version

Flags of serve, each also as an environment variable:
${renderFlags()}
`;

const usageExitCode = 2;

async function main(args: readonly string[]): Promise<void> {
  const [command, ...rest] = args;
  if (command === undefined || args.includes('--help') || args.includes('-h') || command === 'help') {
    process.stdout.write(help);
  } else if (command === '--version') {
    process.stdout.write(`${packageVersion}\n`);
  } else if (command === 'serve') {
    await serve(rest);
  } else {
    throw new UserError(`unknown command ${JSON.stringify(command)}: weft --help lists what there is`);
  }
}

// Whoever read the output may have had enough of it (`weft serve | head`): the server goes on.
process.stdout.on('error', () => {});

main(process.argv.slice(2)).catch((error: unknown) => {
  // What the user has to put right is one line; anything else is a defect, and its stack says where.
  const text =
    error instanceof UserError || !(error instanceof Error) ? messageOf(error) : (error.stack ?? error.message);
  process.stderr.write(`weft: ${text}\n`);
  process.exit(error instanceof UserError ? usageExitCode : 1);
});
