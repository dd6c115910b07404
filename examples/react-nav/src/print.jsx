// Prints the navigation that a user sees: `npm run nav -- alice`, `npm run nav -- root admin`.

import { OpenFeature, OpenFeatureProvider } from "@openfeature/react-sdk";
import { renderToStaticMarkup } from "react-dom/server";
import { gateProvider } from "./gate.js";
import { Nav } from "./Nav.jsx";

const { HEADGATE_API: api, HEADGATE_IDP: idp } = process.env;
const [sub, admin] = process.argv.slice(2);

/** Signs in at the dev identity provider. An application uses its own. */
async function identityToken() {
  const form = new URLSearchParams({ sub, ...(admin === "admin" && { admin: "true" }) });
  const response = await fetch(`${idp}/token`, { method: "POST", body: form });
  return (await response.json()).id_token;
}

OpenFeature.setProviderAndWait(gateProvider({ api, identityToken, pollInterval: 0 }))
  .catch((error) => console.error(`no flags: ${error.message}`)) // the page shows without them
  .then(() => console.log(renderToStaticMarkup(<OpenFeatureProvider><Nav /></OpenFeatureProvider>)))
  .finally(() => OpenFeature.close());
