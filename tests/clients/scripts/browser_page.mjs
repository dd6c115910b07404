// A built page in a browser's document, left open. Evaluation tokens are told to live two seconds past their renewal.
// In: {bundle, api, identityToken, changes}. Out: the element's HTML at each change, then what was fetched.

import { page } from "./page.mjs";
import { answer, given } from "./io.mjs";
import { pathToFileURL } from "node:url";

const { bundle, api, identityToken, changes } = await given();
const fetched = [];
const send = globalThis.fetch;

globalThis.fetch = async (...request) => {
  const response = await send(...request);
  const path = new URL(response.url).pathname;
  fetched.push({ path, status: response.status });
  if (path !== "/v1/token") return response;
  return Response.json({ ...(await response.json()), expires_in: 32 });
};

const element = page.window.document.getElementById("root");
const seen = [];
const done = new Promise((resolve) => {
  new page.window.MutationObserver(() => {
    if (element.innerHTML !== seen.at(-1)) answer(seen[seen.push(element.innerHTML) - 1]);
    if (seen.length === changes) resolve();
  }).observe(element, { childList: true, subtree: true });
});

const { show } = await import(pathToFileURL(bundle));
await show(element, { api, identityToken: async () => identityToken, pollInterval: 300 });
await done;
answer(fetched);
process.exit(0); // the page would poll on
