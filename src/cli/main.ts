#!/usr/bin/env node
import { describeFailure } from './failure.ts';

// A reader may close the pipe early (`weft serve | head`), and a log may fill its disk: the server goes on.
process.stdout.on('error', () => {});
process.stderr.on('error', () => {});

try {
  // Imported here and not above, so that a failure to load is one line too; signals come first, so that none is lost.
  const { StopSignals } = await import('./stop-signals.ts');
  const signals = new StopSignals(process.env);
  const { runCommand } = await import('./commands.ts');
  await runCommand(process.argv.slice(2), signals);
} catch (error) {
  const { text, exitCode } = describeFailure(error);
  process.stderr.write(`weft: ${text}\n`);
  process.exit(exitCode);
}
