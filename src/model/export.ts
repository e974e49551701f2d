import { copyFile, mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';
import { configFiles, ModelError, messageOf, namedTemplates, tokenizerFiles } from '../core/index.ts';
import { exists, expectRegularFile, makeFolder } from '../files/index.ts';
import { describeModel } from './describe.ts';
import { ConcatenatedIo } from './graph/concatenated-io.ts';
import { findWeights } from './weights/index.ts';
import { type OnProgress, writeGraph } from './write-graph.ts';

/** The files of a model folder besides its weights. */
const companions = [...Object.values(configFiles), ...Object.values(tokenizerFiles)];

/**
 * Writes a copy of a model for transformers.js, Optimum and other programs that run ONNX: the tokenizer, the configuration and, as
 * `onnx/model.onnx`, the graph of {@link ConcatenatedIo} in float32.
 * @param to a folder that is new or empty
 * @throws {ModelError} the model is not supported or cannot be exported, or `to` cannot be written
 */
export async function exportModel(folder: string, to: string, onProgress: OnProgress = () => {}): Promise<void> {
  const description = await describeModel(folder);
  const files = await findWeights(folder);
  if ((await entriesOf(to)).length > 0) throw new ModelError(`${to} is not empty: give a new or an empty folder`);
  try {
    await makeFolder(to, async (building) => {
      for (const file of [...companions, ...(await namedTemplatesOf(folder))]) {
        const source = path.join(folder, file);
        if (!(await exists(source))) continue;
        await expectRegularFile(source).catch((error: unknown) => {
          throw new ModelError(`${source} cannot be read: ${messageOf(error)}`);
        });
        const target = path.join(building, file);
        await mkdir(path.dirname(target), { recursive: true });
        await copyFile(source, target);
      }
      const onnx = path.join(building, 'onnx');
      await mkdir(onnx);
      await writeGraph(onnx, { description, files, precision: 'fp32', int8Range: 63, onProgress }, ConcatenatedIo);
    });
  } catch (error) {
    if (error instanceof ModelError) throw error;
    throw new ModelError(`the model cannot be exported to ${to}: ${messageOf(error)}`);
  }
}

async function namedTemplatesOf(folder: string): Promise<string[]> {
  const { folder: templates, extension } = namedTemplates;
  const files = await readdir(path.join(folder, templates)).catch(() => []);
  return files.filter((file) => file.endsWith(extension)).map((file) => path.join(templates, file));
}

async function entriesOf(folder: string): Promise<string[]> {
  if (!(await exists(folder))) return [];
  return readdir(folder).catch((error: unknown) => {
    throw new ModelError(`${folder} cannot be written to: ${messageOf(error)}`);
  });
}
