import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'

const path = (name: string): string => fileURLToPath(new URL(`../${name}`, import.meta.url))

/**
 * Packages that are not bundled: native code, files that are served, loggers that start a worker by the name of a file, and what is CommonJS
 * at heart and only nodes on PostgreSQL load.
 */
const EXTERNAL = ['level', 'secp256k1', 'pino', 'pino-pretty', 'pg']

/**
 * Bundles the node into `dist/main.js` and `dist/bundle/`.
 *
 * Two packages demand Node.js 22 where `overrides` of package.json are not followed, which is wherever this package is installed
 * (p-retry 8 of libp2p, cookie 2 of fastify): what is bundled is not installed. The bundle also starts with less work: 0.6 s of
 * CPU and 99 MB on an empty directory, where some 1,500 single files took 1.4 s and 130 MB.
 */
export default defineConfig({
  root: path('.'),
  publicDir: false,
  cacheDir: path('.cache/vite-bundle'),
  ssr: { noExternal: true, external: EXTERNAL },
  build: {
    ssr: true,
    outDir: path('dist'),
    emptyOutDir: false,
    target: 'node20.19',
    license: { fileName: 'bundle/licenses.md' },
    rolldownOptions: {
      input: { main: path('src/main.ts'), 'bundle/worker': path('src/verify/worker.ts') },
      output: {
        entryFileNames: '[name].js',
        chunkFileNames: 'bundle/[name]-[hash].js',
        // No comments, and one byte a character: V8 keeps the text, with two bytes a character where one is not Latin-1.
        minify: {
          compress: false,
          mangle: false,
          codegen: { removeWhitespace: true, asciiOnly: true, legalComments: 'none' },
        },
      },
    },
  },
  plugins: [
    {
      name: 'externals',
      /** Tells `config/pack.js` which packages have to be installed. */
      generateBundle(_, files) {
        const chunks = Object.values(files).filter((file) => file.type === 'chunk')
        const imports = chunks.flatMap((chunk) => [...chunk.imports, ...chunk.dynamicImports])
        const externals = [...new Set(imports)].filter((name) => !(name in files) && !name.startsWith('node:')).sort()
        this.emitFile({ type: 'asset', fileName: 'bundle/externals.json', source: JSON.stringify(externals) })
      },
    },
  ],
  logLevel: 'warn',
})
