#!/usr/bin/env node
import { describeFailure } from './failure.ts';

// The server keeps running if a reader closes the pipe (`weft serve | head`) or the disk of its log is full.
process.stdout.on('error', () => {});
process.stderr.on('error', () => {});

try {
  // Imported dynamically, so that a failure to load is reported on one line, too. Signals come first, so that none is lost.
  const { StopSignals } = await import('./stop-signals.ts');
  const signals = new StopSignals(process.env);
  const { runCommand } = await import('./commands.ts');
  await runCommand(process.argv.slice(2), signals);
} catch (error) {
  const { text, exitCode } = describeFailure(error);
  process.stderr.write(`weft: ${text}\n`);
  process.exit(exitCode);
}
