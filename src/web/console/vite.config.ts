// How the console is built, and the development server beside a running `make demo`.
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';
import { precompress } from './tools/precompress.ts';

/** Where `make demo` listens, for `npm run dev`. */
const GATEWAY = process.env.STAIRGATE ?? 'http://127.0.0.1:8080';

export default defineConfig({
  plugins: [react(), precompress()],
  build: {
    outDir: '../../../target/console',
    emptyOutDir: true,
    target: 'es2022',
    // The policy of the gateway allows no inline data but pictures; a file is cached anyway.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1200,
    reportCompressedSize: false,
  },
  server: {
    host: '127.0.0.1',
    proxy: { '/api': { target: GATEWAY, ws: true, changeOrigin: false } },
  },
});
