import { existsSync } from 'node:fs';
import path from 'node:path';
import type { TestContext } from 'vitest';

/** Programs that a user's machine may lack, and how to have them. `.ci/run` installs all of them. */
const tools = {
  k6: 'go install go.k6.io/k6@v1.8.1',
  locust: 'pip install locust==2.47.0',
  chromium: 'apt-get install chromium',
} as const;

/** The path of a program. Where it is absent the test is skipped with a line that says so; in CI it fails. */
export function needTool(context: TestContext, name: keyof typeof tools): string {
  const folders = (process.env.PATH ?? '').split(path.delimiter);
  const found = folders.map((folder) => path.join(folder, name)).find((file) => existsSync(file));
  if (found !== undefined) return found;
  const problem = `${name} is not on this machine (${tools[name]})`;
  if (process.env.CI) throw new Error(problem);
  return context.skip(problem);
}
