import { capacityKeys, renderFlags, renderHubVariables } from '../config/index.ts';
import { UserError } from '../core/index.ts';
import { models, renderModelsCommands } from './models.ts';
import { packageVersion } from './package-info.ts';
import type { StopSignals } from './stop-signals.ts';

const help = `weft ${packageVersion}: LLM text generation with continuous batching

  weft serve [MODEL] [flags]
      serve a model over HTTP: the path of a Hugging Face OPT folder, the name of a model that is here, or OWNER/NAME of one
      on the Hugging Face hub, which is fetched if it is not here; without one, the embedded model
${renderModelsCommands()}
  weft bench engine [MODEL] [--revision …] [--cache-dir …] [--device …] [--threads …] [--spinning …]
      measure the steps of a model in every precision on this machine
  weft bench quality TEXT_FILE [MODEL] [--revision …] [--cache-dir …] [--device …] [--threads …] [--spinning …]
      measure what every precision costs in how well the model foretells a text
  weft bench capacity [MODEL] [flags]
      find the highest rate of requests that keeps an SLO, and the instances that a rate needs; besides its own flags it takes
      those of serve for the model, the device, batches, the queue and --max-body-bytes
  weft --version

Flags of serve, each also as an environment variable:
${renderFlags()}

Flags of models:
${renderFlags(['cacheDir', 'revision', 'precision', 'seed', 'dryRun'])}

Flags of bench capacity:
${renderFlags(capacityKeys)}

Variables of the Hugging Face libraries that are heeded:
${renderHubVariables()}
`;

/** Runs what the command line asks for. @throws {UserError} there is no such command, or it cannot do what it was asked for */
export async function runCommand(args: readonly string[], signals: StopSignals): Promise<void> {
  const [command, ...rest] = args;
  if (command === undefined || args.includes('--help') || args.includes('-h') || command === 'help') {
    process.stdout.write(help);
  } else if (command === '--version') {
    process.stdout.write(`${packageVersion}\n`);
  } else if (command === 'serve') {
    // Loaded only here: engine and server take longer to load than most other commands take to run.
    const { serve } = await import('./serve.ts');
    await serve(rest, signals);
  } else if (command === 'bench') {
    const { bench } = await import('./bench.ts');
    await bench(rest);
  } else if (command === 'models') {
    await models(rest);
  } else {
    throw new UserError(`unknown command ${JSON.stringify(command)}: weft --help lists what there is`);
  }
}
