import { fileURLToPath } from 'node:url'
import { lingui } from '@lingui/vite-plugin'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vitest/config'

// The adapter is chosen here, not at run time, so that a bundle holds exactly one:
// `vite build` the desktop's, `--mode fake` (and the tests) the simulation. `--mode noc` builds the face of the NOC, a page of its
// own that speaks HTTPS; the NOC's program takes it from dist-noc/face.
export default defineConfig(({ mode }) => {
  const isNoc = mode === 'noc'
  const adapter = mode === 'fake' || mode === 'test' ? 'fake' : 'desktop'
  return {
    plugins: [lingui({ macroTransform: true, failOnCompileError: true }), react()],
    resolve: {
      alias: { '#backend': fileURLToPath(new URL(`./src/backend/${adapter}.ts`, import.meta.url)) },
    },
    clearScreen: false,
    build: {
      target: 'es2022',
      chunkSizeWarningLimit: 2500,
      modulePreload: { polyfill: false },
      assetsInlineLimit: 0,
      ...(isNoc
        ? { outDir: 'dist-noc/face', emptyOutDir: true, rolldownOptions: { input: 'noc.html' } }
        : {}),
    },
    // The simulated site reads the example applets.
    server: { host: '127.0.0.1', port: 1420, strictPort: true, fs: { allow: ['..'] } },
    preview: { host: '127.0.0.1', port: 4178, strictPort: true },
    test: {
      environment: 'happy-dom',
      setupFiles: ['./src/test-setup.ts'],
      include: ['src/**/*.test.{ts,tsx}'],
      testTimeout: 60_000,
    },
  }
})
