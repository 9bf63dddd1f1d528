import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'

const path = (name: string): string => fileURLToPath(new URL(`../${name}`, import.meta.url))

/** Builds the explorer, which a node serves at `/`. */
export default defineConfig({
  root: path('src/explorer'),
  // Relative: a proxy may serve the node below a path.
  base: './',
  publicDir: false,
  cacheDir: path('.cache/vite'),
  resolve: {
    // Checking an archive in a page takes the node's own checker, with the few things that it needs of Node in small.
    alias: [
      { find: 'node:crypto', replacement: path('src/explorer/platform/node-crypto.ts') },
      { find: 'node:buffer', replacement: path('src/explorer/platform/node-buffer.ts') },
      { find: /^\.\/gzip\.ts$/, replacement: path('src/explorer/platform/gzip.ts') },
    ],
  },
  build: {
    outDir: path('dist/explorer'),
    emptyOutDir: true,
    target: ['es2023', 'chrome111', 'firefox115', 'safari16.4'],
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    chunkSizeWarningLimit: 300,
  },
  logLevel: 'warn',
})
