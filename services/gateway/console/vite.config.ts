/// <reference types="vitest/config" />
import react from "@vitejs/plugin-react";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";

// Where `npm run dev` passes API calls on to.
const gatehouse = process.env.GATEHOUSE ?? "http://localhost:8080";
const passedOn = ["/v1", "/sign-in", "/sign-out", "/openapi.json", "/reference", "/live"];

// The component library says its few own words in thirty languages: those that the console does
// not speak are left out.
const otherLanguages = /react-(aria|stately)\/.*\/intl\/.*\/(?!en-|de-)[a-z]{2}-[A-Z]{2}\.mjs$/;

export default defineConfig({
  plugins: [react(), { name: "other-languages", load: (id) => (otherLanguages.test(id) ? "export default {}" : undefined) }],
  resolve: { alias: { "@": fileURLToPath(new URL("./src", import.meta.url)) } },
  build: {
    outDir: "dist",
    target: "es2024",
    // The built files are committed: their names stay.
    rolldownOptions: {
      output: {
        // All of it is in index.js, which is a group.
        entryFileNames: "assets/entry.js",
        chunkFileNames: "assets/[name].js",
        assetFileNames: "assets/[name][extname]",
        codeSplitting: {
          groups: [
            // What every page needs is one file.
            { name: "index", tags: ["$initial"] },
            // With what they need of the component library: few files, for each costs a request.
            { name: "fields", test: /src\/components\/(TextBox|SearchBox|Check|CheckField|Choice)\.tsx$/ },
            { name: "overlays", test: /src\/components\/(ConfirmDialog|ShownOnce|Select|People|Find)\.tsx$/ },
          ],
        },
      },
    },
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
    reportCompressedSize: true,
    license: { fileName: "licenses.md" },
  },
  server: {
    proxy: Object.fromEntries(passedOn.map((path) => [path, { target: gatehouse, changeOrigin: false }])),
  },
  test: { include: ["src/**/*.test.{ts,tsx}"], environment: "jsdom", setupFiles: ["src/test/setup.ts"], css: false, testTimeout: 60_000 },
});
