/** The rooms of src/ and what each may import: the table that ARCHITECTURE.md draws. */
const mayImport = {
  core: [],
  config: ['core'],
  tokenizer: ['core', 'files'],
  chat: ['core', 'files'],
  files: ['core'],
  model: ['core', 'files'],
  store: ['core', 'config', 'files', 'model'],
  scheduler: ['core'],
  sampling: ['core'],
  'engine/ort': [],
  engine: ['core', 'model', 'sampling', 'engine/ort'],
  llm: ['core', 'scheduler', 'tokenizer'],
  server: ['core'],
  load: ['core'],
  bench: ['core', 'model', 'engine', 'engine/ort'],
  library: ['chat', 'core', 'config', 'engine', 'llm', 'model', 'server', 'store', 'tokenizer'],
};

/** Rooms without I/O: they compute, and could run in a browser. */
const pureRooms = ['core', 'scheduler', 'sampling'];

/** `engine/ort` is a room of its own: who may import `engine` may not import it. */
const room = (name) => (name === 'engine' ? '^src/engine/(?!ort/)' : `^src/${name}/`);

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    ...Object.entries(mayImport).map(([name, allowed]) => ({
      name: `${name}-imports-only-its-own-kind`,
      comment: `${name} may import ${allowed.join(', ') || 'no other room'}`,
      severity: 'error',
      from: { path: room(name) },
      to: {
        path: '^src/',
        pathNot: [room(name), ...allowed.map(room)],
      },
    })),
    ...pureRooms.map((name) => ({
      name: `${name}-is-pure`,
      comment: `${name} imports no Node.js module and no package`,
      severity: 'error',
      from: { path: room(name) },
      to: { pathNot: '^src/' },
    })),
    {
      name: 'rooms-are-entered-through-their-index',
      severity: 'error',
      from: { path: '^src/([^/]+)/' },
      to: { path: '^src/([^/]+)/(?!index\\.ts$)', pathNot: ['^src/$1/', '^src/engine/ort/index\\.ts$'] },
    },
    {
      name: 'transport-knows-no-dialect',
      comment: 'only the files that put routes together do',
      severity: 'error',
      from: { path: '^src/server/[^/]+\\.ts$', pathNot: '^src/server/(routes|build-server)\\.ts$' },
      to: { path: '^src/server/dialects/' },
    },
    {
      name: 'dialects-know-no-other-dialect',
      severity: 'error',
      from: { path: '^src/server/dialects/([^/]+)/' },
      to: { path: '^src/server/dialects/', pathNot: '^src/server/dialects/$1/' },
    },
    {
      name: 'index-exports-the-library',
      severity: 'error',
      from: { path: '^src/index\\.ts$' },
      to: { path: '^src/', pathNot: '^src/(core|library)/index\\.ts$' },
    },
    {
      name: 'the-library-is-imported-by-cli-alone',
      severity: 'error',
      from: { path: '^src/', pathNot: '^src/(cli/|library/|index\\.ts$)' },
      to: { path: '^src/(library/|index\\.ts$)' },
    },
    {
      name: 'ort-is-entered-through-its-index',
      severity: 'error',
      from: { path: '^src/', pathNot: room('engine/ort') },
      to: { path: room('engine/ort'), pathNot: '^src/engine/ort/index\\.ts$' },
    },
    {
      name: 'one-file-imports-koffi',
      severity: 'error',
      from: { pathNot: '^src/engine/ort/native\\.ts$' },
      to: { path: 'node_modules/koffi' },
    },
    {
      name: 'one-onnx-runtime-in-a-server',
      comment: 'onnxruntime-node loads a second ONNX Runtime: only the benchmarks of the command line use it',
      severity: 'error',
      from: { path: '^src/', pathNot: room('bench') },
      to: { path: 'node_modules/onnxruntime-node' },
    },
    {
      name: 'benchmarks-are-loaded-by-their-command',
      severity: 'error',
      from: { path: '^src/', pathNot: ['^src/cli/bench-engine\\.ts$', room('bench')] },
      to: { path: room('bench') },
    },
    {
      name: 'cli-is-imported-by-nobody',
      severity: 'error',
      from: { pathNot: '^(src/cli|test/unit/cli)/' },
      to: { path: '^src/cli/' },
    },
    {
      name: 'bench-uses-http',
      comment:
        'all but servers that are made of parts of Weft, and steps without a server; the load itself is a room of src',
      severity: 'error',
      from: { path: '^bench/', pathNot: '^bench/(contestants/|sampling\\.ts$)' },
      to: { path: '^src/', pathNot: '^src/load/index\\.ts$' },
    },
    {
      name: 'src-imports-only-src',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|bench|scripts)/' },
    },
    {
      name: 'no-unresolvable',
      comment: 'k6 brings its own modules',
      severity: 'error',
      from: { pathNot: '^bench/k6/generate\\.js$' },
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: ['node_modules', '^dist'] },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
