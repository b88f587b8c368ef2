// The page: built beside the command, served by it (`--serve`), or by any file host.
import { defineConfig } from 'vite'
import { flightsAsset } from './page/data/flightsAsset.ts'

export default defineConfig({
  root: 'page',
  base: './',
  plugins: [flightsAsset()],
  worker: { format: 'es' },
  build: { outDir: '../dist/page', emptyOutDir: true, target: 'es2022', modulePreload: { polyfill: false } },
})
