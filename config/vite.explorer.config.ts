import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'

const path = (name: string): string => fileURLToPath(new URL(`../${name}`, import.meta.url))

/** Builds the explorer, which a node serves at `/`, and the styles of the page at `/docs`, which has no script. */
export default defineConfig({
  root: path('src/explorer'),
  // Relative: a proxy may serve the node below a path.
  base: './',
  publicDir: false,
  cacheDir: path('.cache/vite'),
  build: {
    outDir: path('dist/explorer'),
    emptyOutDir: true,
    rolldownOptions: { input: { index: path('src/explorer/index.html'), docs: path('src/explorer/styles/docs.css') } },
    target: ['es2023', 'chrome111', 'firefox115', 'safari16.4'],
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    chunkSizeWarningLimit: 300,
  },
  logLevel: 'warn',
})
