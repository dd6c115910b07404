// jose inside workerd, all checks at once on one isolate. In and out as jose_node.mjs, with the runtime's name.

import { answer, given } from "./io.mjs";
import { build } from "esbuild";
import { Miniflare } from "miniflare";
import { fileURLToPath } from "node:url";

const { checks } = await given();
const bundled = await build({
  entryPoints: [fileURLToPath(new URL("jose_worker.mjs", import.meta.url))],
  bundle: true,
  write: false,
  format: "esm",
  conditions: ["workerd"],
});
const workerd = new Miniflare({
  modules: true,
  script: bundled.outputFiles[0].text,
  compatibilityDate: "2026-04-01",
});
try {
  const check = async (body) => {
    const response = await workerd.dispatchFetch("http://worker/", { method: "POST", body: JSON.stringify(body) });
    return response.json();
  };
  const found = await Promise.all(checks.map(check));
  answer(found.map(({ claims }) => claims).concat([found[0].runtime]));
} finally {
  await workerd.dispose();
}
