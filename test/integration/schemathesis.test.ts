import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../support/fixtures.ts';
import { serverForAllTests } from '../support/server.ts';
import { needTool } from '../support/tools.ts';

const run = promisify(execFile);

// A short context keeps the answers short.
const up = serverForAllTests(['--max-model-len', '16', '--log-level', 'error']);

test('requests made from /openapi.json never get a 5xx, nor a status or a content type that it lacks', async (context) => {
  const schemathesis = needTool(context, 'schemathesis');
  const args = [
    ...['run', `${up.client.url}/openapi.json`, '--phases', 'coverage,fuzzing', '--max-examples', '5'],
    ...['--checks', 'not_a_server_error,status_code_conformance,content_type_conformance'],
    ...['--generation-deterministic', '--no-shrink', '--continue-on-failure', '--warnings', 'off', '--no-color'],
  ];
  // It writes a cache into the folder in which it runs.
  const options = { cwd: await temporaryFolder(), maxBuffer: 2 ** 26 };
  const { stdout } = await run(schemathesis, args, options).catch((error: { stdout: string }) => error);
  const { paths } = JSON.parse(await (await fetch(`${up.client.url}/openapi.json`)).text());
  const numOperations = Object.values<object>(paths).flatMap((methods) => Object.keys(methods)).length;
  expect(stdout).toContain('No issues found');
  expect(stdout).toContain(`Selected: ${numOperations}/${numOperations}`);
});
