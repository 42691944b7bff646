import { createHash } from "node:crypto";
import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

/**
 * Takes fonts out of the style sheets.
 *
 * Cloudscape's have them inline, 130 kB that would have to arrive before anything is shown; in files of their own only
 * those that are used are loaded, later.
 */
function fontFiles(): Plugin {
  return {
    name: "font-files",
    generateBundle(_options, bundle) {
      for (const file of Object.values(bundle)) {
        if (file.type !== "asset" || !file.fileName.endsWith(".css")) continue;
        const css = typeof file.source === "string" ? file.source : new TextDecoder().decode(file.source);
        file.source = css.replace(
          /url\(["']?data:(?:font\/woff2|application\/[\w-]*)[^,]*;base64,([A-Za-z0-9+/=]+)["']?\)/g,
          (_match, base64: string) => {
            const source = Buffer.from(base64, "base64");
            const name = `font-${createHash("sha256").update(source).digest("hex").slice(0, 8)}.woff2`;
            this.emitFile({ type: "asset", fileName: `assets/${name}`, source });
            return `url(./${name})`;
          },
        );
      }
    },
  };
}

export default defineConfig({
  plugins: [react(), fontFiles()],
  build: {
    target: "es2022",
    manifest: true,
    // The pages' styles come with the pages; nothing is inlined into scripts or style sheets.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 1200,
  },
  test: {
    include: ["**/*.test.ts"],
    // For machines that are slow or busy; only what never comes waits for them.
    testTimeout: 60_000,
    expect: { poll: { timeout: 30_000 } },
  },
});
