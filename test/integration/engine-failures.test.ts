import { expect, onTestFinished, test } from 'vitest';
import { Client } from '../support/client.ts';
import { until } from '../support/until.ts';
import { failingSteps, ServerProcess } from '../support/weft-process.ts';

const long = { prompt: 'Once upon a time', max_new_tokens: 200, ignore_eos: true };

async function start() {
  const server = new ServerProcess([], failingSteps);
  onTestFinished(() => server.kill('SIGKILL'));
  return { server, client: new Client(await server.url) };
}

/** The errors that a server has logged. */
function errorsIn(stdout: string): { readonly err: { readonly stack: string } }[] {
  const lines = stdout.split('\n').filter((line) => line.startsWith('{'));
  return lines.map((line) => JSON.parse(line)).filter(({ level }) => level === 50);
}

test('a prompt that makes the model fail ends alone, and each failed step is logged once, with its cause', async () => {
  const { server, client } = await start();
  const expected = await client.generate(long);
  const running = client.stream(long);
  const first = await running.next();
  const bad = { prompt: [2, 777], stream: true };
  const events = [];
  for await (const event of client.stream(bad)) events.push(event);
  expect(events).toMatchObject([{ event: 'error', data: expect.stringContaining('"code":"engine_failed"') }]);
  const rest = [];
  for await (const event of running) rest.push(event);
  const tokens = [first.value, ...rest].filter((event) => event?.event === 'token');
  expect(tokens.map((event) => JSON.parse(event?.data ?? '').token_id)).toEqual(expected.token_ids);
  expect(rest.at(-1)?.event).toBe('done');
  expect((await server.stop()).exitCode).toBe(0);
  const errors = errorsIn(server.stdout);
  expect(errors).toHaveLength(2);
  for (const { err } of errors) expect(err.stack).toContain('a kernel gave up');
});

test('a server whose steps fail is not ready until one succeeds, even without requests', async () => {
  const { server, client } = await start();
  const ready = async () => (await fetch(`${client.url}/readyz`)).status === 200;
  expect(await ready()).toBe(true);
  for (let i = 0; i < 2; i++) {
    const failed = await client.post({ prompt: [2, 778] });
    expect(failed.status).toBe(500);
    expect(await failed.json()).toMatchObject({ error: { code: 'engine_failed', message: 'the step failed' } });
  }
  expect(await ready()).toBe(false);
  await until(ready);
  expect((await client.generate(long)).token_ids).toHaveLength(200);
  expect((await server.stop()).exitCode).toBe(0);
});
