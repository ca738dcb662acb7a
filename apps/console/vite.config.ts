import { defineConfig } from 'vite'

export default defineConfig({
  // The server that serves the build tells the page where it is.
  base: './',
  build: {
    outDir: '../../packages/admin/dist/browser',
    emptyOutDir: true,
    // The Content-Security-Policy would refuse an image in a data: URL.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
    rolldownOptions: {
      onLog(level, log, handle) {
        // All code here runs in the browser; the directive that says so means nothing to a bundler.
        if (log.code !== 'MODULE_LEVEL_DIRECTIVE') handle(level, log)
      },
    },
  },
})
