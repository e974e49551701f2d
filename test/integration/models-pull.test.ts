import { createHash } from 'node:crypto';
import { lstat, mkdir, readdir, readFile, readlink, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { variants } from '../support/fixtures.ts';
import { filesOf, Machine, published } from '../support/machine.ts';
import { until } from '../support/until.ts';

const sha256 = (content: Buffer) => createHash('sha256').update(content).digest('hex');

describe('pull', () => {
  test('stores only the needed files, in the layout of the Hugging Face cache', async () => {
    const machine = await Machine.create();
    const files = await published();
    const commit = machine.hub.publish('facebook/opt-mini', files);
    const { stdout } = await machine.succeed('models', 'pull', 'facebook/opt-mini');
    const folder = machine.repoFolder('facebook/opt-mini');
    const snapshot = path.join(folder, 'snapshots', commit);
    expect(stdout).toContain(snapshot);
    expect(await readFile(path.join(folder, 'refs/main'), 'utf8')).toBe(commit);
    expect((await readdir(snapshot)).sort()).toEqual([
      'config.json',
      'generation_config.json',
      'merges.txt',
      'pytorch_model.bin',
      'tokenizer_config.json',
      'vocab.json',
    ]);
    const blob = sha256(files['pytorch_model.bin'] ?? Buffer.alloc(0));
    expect(await readlink(path.join(snapshot, 'pytorch_model.bin'))).toBe(path.join('..', '..', 'blobs', blob));
    for (const name of await readdir(snapshot))
      expect(files[name]?.equals(await readFile(path.join(snapshot, name)))).toBe(true);
    expect((await readdir(path.join(folder, 'blobs'))).every((name) => /^[0-9a-f]{40,64}$/.test(name))).toBe(true);
  });

  test('stores chat templates that are files, and nothing else that is next to them', async () => {
    const machine = await Machine.create();
    const templates = ['additional_chat_templates/rag.jinja', 'chat_template.jinja'];
    const others = ['additional_chat_templates/README.md', 'additional_chat_templates/old/x.jinja', 'other.jinja'];
    const extra = Object.fromEntries([...templates, ...others].map((name) => [name, Buffer.from(name)]));
    const commit = machine.hub.publish('a/b', { ...(await published()), ...extra });
    await machine.succeed('models', 'pull', 'a/b');
    const snapshot = path.join(machine.repoFolder('a/b'), 'snapshots', commit);
    const names = await readdir(snapshot, { recursive: true });
    expect(names.filter((name) => name.endsWith('.jinja') || name.endsWith('.md')).sort()).toEqual(templates);
    expect(await readFile(path.join(snapshot, 'additional_chat_templates/rag.jinja'), 'utf8')).toBe(templates[0]);
  });

  test('downloads nothing twice, and follows the branch', async () => {
    const machine = await Machine.create();
    const files = await published();
    machine.hub.publish('a/b', files);
    await machine.succeed('models', 'pull', 'a/b');
    machine.hub.requests.length = 0;
    await machine.succeed('models', 'pull', 'a/b');
    expect(machine.hub.requests.filter((request) => request.includes('resolve'))).toEqual([]);
    const config = Buffer.from(`${files['config.json']} `);
    const commit = machine.hub.publish('a/b', { ...files, 'config.json': config });
    await machine.succeed('models', 'pull', 'a/b');
    const fetched = machine.hub.requests.filter((request) => request.includes('resolve'));
    expect(new Set(fetched)).toEqual(new Set([`GET /a/b/resolve/${commit}/config.json`]));
    expect(await readFile(path.join(machine.repoFolder('a/b'), 'refs/main'), 'utf8')).toBe(commit);
  });

  test('falls back to an ONNX export with its external data', async () => {
    const machine = await Machine.create();
    const files = {
      ...(await filesOf(path.join(variants, 'onnx-external-fp16-projected'), [
        'config.json',
        'model_fp16.onnx',
        'model_fp16.onnx_data',
      ])),
      'model_quantized.onnx': Buffer.alloc(10),
      'model_q4.onnx_data': Buffer.alloc(10),
    };
    const commit = machine.hub.publish('Xenova/opt', files);
    await machine.succeed('models', 'pull', 'Xenova/opt');
    expect((await readdir(path.join(machine.repoFolder('Xenova/opt'), 'snapshots', commit))).sort()).toEqual([
      'config.json',
      'model_fp16.onnx',
      'model_fp16.onnx_data',
    ]);
    await machine.succeed('models', 'convert', 'Xenova/opt');
  });

  test('resumes after it was killed; until then the model is not listed', async () => {
    const machine = await Machine.create();
    const files = await published();
    machine.hub.publish('a/b', files);
    machine.hub.trouble('pytorch_model.bin', { stallAfter: 150_000 });
    const first = machine.start(['models', 'pull', 'a/b']);
    await until(async () => (await largestIn(path.join(machine.repoFolder('a/b'), 'blobs'))) === 150_000);
    first.kill('SIGKILL');
    await first.ended;
    expect((await machine.succeed('models', 'list')).stdout).not.toContain('a/b');
    await machine.succeed('models', 'pull', 'a/b');
    expect(machine.hub.requests).toContain('GET /cdn/a/b/pytorch_model.bin from 150000');
    expect(await readdir(path.join(machine.repoFolder('a/b'), 'blobs'))).toContain(
      sha256(files['pytorch_model.bin'] ?? Buffer.alloc(0)),
    );
    expect(await unfinishedIn(path.join(machine.repoFolder('a/b'), 'blobs'))).toEqual([]);
    expect((await machine.succeed('models', 'list')).stdout).toContain('a/b');
  });

  test('resumes by itself when the connection breaks', async () => {
    const machine = await Machine.create();
    machine.hub.publish('a/b', await published());
    machine.hub.trouble('pytorch_model.bin', { breakAfter: 100_000 });
    await machine.succeed('models', 'pull', 'a/b');
    expect(machine.hub.requests.filter((request) => /bin from \d+/.test(request)).length).toBeGreaterThan(0);
  });

  test('fails if the content has another digest, and leaves none of it', async () => {
    const machine = await Machine.create();
    machine.hub.publish('a/b', await published());
    machine.hub.trouble('pytorch_model.bin', { isCorrupt: true });
    expect(await machine.fail(['models', 'pull', 'a/b'])).toMatch(
      /pytorch_model\.bin of a\/b arrived damaged: its sha256 is not [0-9a-f]{64}; it was deleted, try again/,
    );
    const blobs = path.join(machine.repoFolder('a/b'), 'blobs');
    expect(await largestIn(blobs)).toBeLessThan(100_000);
    expect(await unfinishedIn(blobs)).toEqual([]);
    machine.hub.trouble('pytorch_model.bin', {});
    await machine.succeed('models', 'pull', 'a/b');
  });

  test('fails if a small file has another digest', async () => {
    const machine = await Machine.create();
    machine.hub.publish('a/b', await published());
    machine.hub.trouble('merges.txt', { isCorrupt: true });
    expect(await machine.fail(['models', 'pull', 'a/b'])).toMatch(/merges\.txt of a\/b arrived damaged: its git-sha1 /);
  });

  test('starts over if the partial file belongs to another version', async () => {
    const machine = await Machine.create();
    const files = await published();
    machine.hub.publish('a/b', files);
    const blobs = path.join(machine.repoFolder('a/b'), 'blobs');
    await mkdir(blobs, { recursive: true });
    const blob = path.join(blobs, sha256(files['pytorch_model.bin'] ?? Buffer.alloc(0)));
    await writeFile(`${blob}.abandoned.incomplete`, Buffer.alloc(50_000));
    await machine.succeed('models', 'pull', 'a/b');
    expect(files['pytorch_model.bin']?.equals(await readFile(blob))).toBe(true);
  });

  test('repairs a file that was damaged on disk, which serving reports', async () => {
    const machine = await Machine.create();
    const files = await published();
    const commit = machine.hub.publish('a/b', files);
    await machine.succeed('models', 'pull', 'a/b');
    const weights = path.join(machine.repoFolder('a/b'), 'snapshots', commit, 'pytorch_model.bin');
    const damaged = Buffer.from(files['pytorch_model.bin'] ?? []);
    damaged.fill(0xff, 200_000, 200_100);
    await writeFile(weights, damaged);
    expect(await machine.fail(['serve', 'a/b', '--port', '0'])).toMatch(
      /is damaged: its SHA-256 is not its name; pull the model again \(weft models pull\)/,
    );
    await machine.succeed('models', 'pull', 'a/b');
    expect(files['pytorch_model.bin']?.equals(await readFile(weights))).toBe(true);
    expect((await lstat(weights)).isSymbolicLink()).toBe(true);
  });

  test('works concurrently', async () => {
    const machine = await Machine.create();
    const files = await published();
    machine.hub.publish('a/b', files);
    const pulls = Array.from({ length: 4 }, () => machine.start(['models', 'pull', 'a/b']).ended);
    for (const { exitCode, stderr } of await Promise.all(pulls))
      expect([exitCode, stderr]).toEqual([0, expect.anything()]);
    const blobs = path.join(machine.repoFolder('a/b'), 'blobs');
    expect(await unfinishedIn(blobs)).toEqual([]);
    await machine.succeed('models', 'convert', 'a/b');
  });

  test('removes the partial file of an interrupted pull once another one has finished', async () => {
    const machine = await Machine.create();
    machine.hub.publish('a/b', await published());
    await machine.succeed('models', 'pull', 'a/b');
    const blobs = path.join(machine.repoFolder('a/b'), 'blobs');
    const [blob = ''] = await readdir(blobs);
    await writeFile(path.join(blobs, `${blob}.abandoned.incomplete`), '');
    await machine.succeed('models', 'pull', 'a/b');
    expect(await unfinishedIn(blobs)).toEqual([]);
  });

  test('waits while another process downloads the same file', async () => {
    const machine = await Machine.create();
    machine.hub.publish('a/b', await published());
    machine.hub.trouble('pytorch_model.bin', { stallAfter: 150_000 });
    const first = machine.start(['models', 'pull', 'a/b']);
    await machine.hub.requested(/cdn.*pytorch_model/);
    const second = machine.start(['models', 'pull', 'a/b']);
    await machine.hub.requested(/tree/, 2);
    machine.hub.resume();
    expect([(await first.ended).exitCode, (await second.ended).exitCode]).toEqual([0, 0]);
    expect(machine.hub.requests.filter((request) => request.includes('/cdn/'))).toHaveLength(1);
  });

  test('takes over when the other process dies', async () => {
    const machine = await Machine.create();
    machine.hub.publish('a/b', await published());
    machine.hub.trouble('pytorch_model.bin', { stallAfter: 150_000 });
    const first = machine.start(['models', 'pull', 'a/b']);
    await until(async () => (await largestIn(path.join(machine.repoFolder('a/b'), 'blobs'))) === 150_000);
    const second = machine.start(['models', 'pull', 'a/b']);
    await machine.hub.requested(/tree/, 2);
    first.kill('SIGKILL');
    expect((await second.ended).exitCode).toBe(0);
    expect(machine.hub.requests.filter((request) => request.includes('/cdn/'))).toEqual([
      'GET /cdn/a/b/pytorch_model.bin',
      'GET /cdn/a/b/pytorch_model.bin from 150000',
    ]);
  });

  test('starts over if the server does not support ranges', async () => {
    const machine = await Machine.create();
    const files = await published();
    machine.hub.publish('a/b', files);
    machine.hub.hasRanges = false;
    machine.hub.trouble('pytorch_model.bin', { breakAfter: 100_000 });
    await machine.succeed('models', 'pull', 'a/b');
    const weights = sha256(files['pytorch_model.bin'] ?? Buffer.alloc(0));
    const blob = await readFile(path.join(machine.repoFolder('a/b'), 'blobs', weights));
    expect(files['pytorch_model.bin']?.equals(blob)).toBe(true);
  });

  test('does not touch the partial files of Python', async () => {
    const machine = await Machine.create();
    const files = await published();
    machine.hub.publish('a/b', files);
    const blobs = path.join(machine.repoFolder('a/b'), 'blobs');
    await mkdir(blobs, { recursive: true });
    const partial = path.join(blobs, `${sha256(files['pytorch_model.bin'] ?? Buffer.alloc(0))}.incomplete`);
    await writeFile(partial, 'of Python');
    await machine.succeed('models', 'pull', 'a/b');
    expect(await readFile(partial, 'utf8')).toBe('of Python');
  });

  test('takes over from a writer that was silent for minutes, even if its process id is in use', async () => {
    const machine = await Machine.create();
    const files = await published();
    machine.hub.publish('a/b', files);
    const blobs = path.join(machine.repoFolder('a/b'), 'blobs');
    await mkdir(blobs, { recursive: true });
    const content = files['pytorch_model.bin'] ?? Buffer.alloc(0);
    const partial = path.join(blobs, `${sha256(content)}.elsewhere-1-0123abcd.incomplete`);
    await writeFile(partial, content.subarray(0, 1000));
    await utimes(partial, new Date(0), new Date(0));
    await machine.succeed('models', 'pull', 'a/b');
    expect(machine.hub.requests).toContain('GET /cdn/a/b/pytorch_model.bin from 1000');
  });
});

describe('a failed pull prints the reason on one line:', () => {
  test('a model that does not exist', async () => {
    const machine = await Machine.create();
    expect(await machine.fail(['models', 'pull', 'no/such'])).toMatch(
      /has no no\/such at main; if it is private, set HF_TOKEN/,
    );
    expect(await machine.fail(['serve', 'no/such'])).toMatch(/has no no\/such at main/);
  });

  test('a revision that does not exist or is malformed', async () => {
    const machine = await Machine.create();
    machine.hub.publish('a/b', await published());
    expect(await machine.fail(['models', 'pull', 'a/b', '--revision', 'v9'])).toMatch(/has no a\/b at v9/);
    expect(await machine.fail(['models', 'pull', 'a/b', '--revision', '../../x'])).toMatch(
      /--revision is "..\/..\/x"; it must be a branch, a tag, or a commit/,
    );
  });

  test('a model that needs a token', async () => {
    const machine = await Machine.create();
    machine.hub.publish('a/b', await published());
    machine.hub.token = 'secret';
    expect(await machine.fail(['models', 'pull', 'a/b'])).toMatch(/if it is private, set HF_TOKEN/);
    expect(await machine.fail(['models', 'pull', 'a/b'], { HF_TOKEN: 'other' })).toMatch(
      /or HF_TOKEN does not open it/,
    );
    const { exitCode } = await machine.start(['models', 'pull', 'a/b'], { HF_TOKEN: 'secret' }).ended;
    expect(exitCode).toBe(0);
  });

  test('another architecture: the weights are not downloaded, and nothing is left behind', async () => {
    const machine = await Machine.create();
    const files = await published();
    machine.hub.publish('a/b', { ...files, 'config.json': Buffer.from('{"model_type": "llama"}') });
    expect(await machine.fail(['models', 'pull', 'a/b'])).toMatch(/model_type "llama" is not supported/);
    expect(machine.hub.requests.filter((request) => request.includes('pytorch_model'))).toEqual([]);
    await expect(readdir(path.join(machine.folder, 'hf'))).rejects.toThrow('ENOENT');
  });

  test('a server that is not a hub', async () => {
    const machine = await Machine.create();
    machine.hub.publish('a/b', await published());
    for (const page of ['<html>Please log in</html>', '{}', 'null', '']) {
      machine.hub.page = page;
      expect(await machine.fail(['models', 'pull', 'a/b'])).toMatch(
        /did not answer as the hub does|returned no commit/,
      );
    }
  });

  test('a cache that cannot be written', async () => {
    const machine = await Machine.create();
    machine.hub.publish('a/b', await published());
    const file = path.join(machine.folder, 'file');
    await writeFile(file, '');
    expect(await machine.fail(['models', 'pull', 'a/b'], { HF_HOME: file })).toMatch(
      /a\/b cannot be stored on this machine: ENOTDIR/,
    );
  });

  test('a malformed token, which is not shown', async () => {
    const machine = await Machine.create();
    const message = await machine.fail(['models', 'pull', 'a/b'], { HF_TOKEN: 'hf_se\ncret' });
    expect(message).toMatch(/HF_TOKEN .* contains characters that are not allowed in a token$/);
  });

  test('a model without weights in a supported format', async () => {
    const machine = await Machine.create();
    machine.hub.publish('a/b', { 'config.json': Buffer.from('{}'), 'tf_model.h5': Buffer.alloc(10) });
    expect(await machine.fail(['models', 'pull', 'a/b'])).toMatch(/a\/b has no weights that Weft can read/);
  });

  test('no network, or offline mode: local models are listed', async () => {
    const machine = await Machine.create();
    const nobody = { HF_ENDPOINT: 'http://127.0.0.1:1' };
    const here = /; models on this machine: opt-stories$/;
    expect(await machine.fail(['serve', 'facebook/opt-125m'], nobody)).toMatch(
      /^weft: facebook\/opt-125m is not on this machine, and 127\.0\.0\.1:1 cannot be reached/,
    );
    expect(await machine.fail(['serve', 'facebook/opt-125m'], nobody)).toMatch(here);
    expect(await machine.fail(['serve', 'facebook/opt-125m'], { HF_HUB_OFFLINE: '1' })).toMatch(here);
    expect(await machine.fail(['serve', 'opt-125m'])).toMatch(
      /there is no model opt-125m; models on this machine: opt-stories; names on the hub/,
    );
  });
});

async function largestIn(folder: string): Promise<number> {
  const names = await readdir(folder).catch(() => []);
  const sizes = await Promise.all(
    names.map(async (name) => (await stat(path.join(folder, name)).catch(() => ({ size: 0 }))).size),
  );
  return Math.max(0, ...sizes);
}

async function unfinishedIn(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => name.endsWith('.incomplete'));
}
