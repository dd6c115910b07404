// Runs the Worker locally: bundled by esbuild, on workerd through miniflare. PORT=0 picks a free port.

import { build } from "esbuild";
import { Miniflare } from "miniflare";

const { HEADGATE_API, HEADGATE_AUDIENCE = "headgate", PORT = "8787" } = process.env;
if (!HEADGATE_API) throw new Error("HEADGATE_API is not set: start `headgate local` and copy its exports");

const bundled = await build({
  entryPoints: ["src/worker.js"],
  bundle: true,
  write: false,
  format: "esm",
  conditions: ["workerd"],
});
const workerd = new Miniflare({
  modules: true,
  script: bundled.outputFiles[0].text,
  compatibilityDate: "2026-04-01",
  bindings: { HEADGATE_ISSUER: HEADGATE_API, HEADGATE_AUDIENCE },
  host: "127.0.0.1",
  port: Number(PORT),
});
const stop = () => workerd.dispose().then(() => process.exit(0));
process.on("SIGTERM", stop).on("SIGINT", stop);
console.log(`listening on ${(await workerd.ready).origin}`);
