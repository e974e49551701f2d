export {
  abandonedIn,
  buildFolder,
  isUnfinished,
  makeFolder,
  removeFolder,
  removeUnfinishedBuilds,
} from './build-folder.ts';
export { exists, type FileContent, hashFile, replaceFile } from './files.ts';
export { ensureFolder } from './folders.ts';
export { type JsonObject, readJsonFile, readTextFile } from './json-file.ts';
export {
  expectRegularFile,
  type FileRange,
  openRegularFile,
  readExactly,
  readSmallFile,
  writeFully,
} from './regular-file.ts';
export { writerName, writerState } from './writer.ts';
