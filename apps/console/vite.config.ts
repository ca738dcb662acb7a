import { defineConfig } from 'vite'

export default defineConfig({
  // Whoever serves it says where it lies.
  base: './',
  build: {
    outDir: '../../packages/fastify/dist/browser',
    emptyOutDir: true,
    // An image in a data: URL would be refused by the Content-Security-Policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
    rolldownOptions: {
      onLog(level, log, handle) {
        // Everything here runs in the browser; the directive that says so means nothing to a bundler.
        if (log.code !== 'MODULE_LEVEL_DIRECTIVE') handle(level, log)
      },
    },
  },
})
