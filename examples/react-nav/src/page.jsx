// The page: the application calls `show` when a user signs in, and again when another user does.

import { OpenFeature, OpenFeatureProvider } from "@openfeature/react-sdk";
import { createRoot } from "react-dom/client";
import { gateProvider } from "./gate.js";
import { Nav } from "./Nav.jsx";

let root;

/** Show the navigation in `element`. Resolves when the flags are loaded. `options`: see gateProvider. */
export async function show(element, options) {
  root ??= createRoot(element);
  root.render(
    <OpenFeatureProvider>
      <Nav />
    </OpenFeatureProvider>,
  );
  await OpenFeature.setProviderAndWait(gateProvider(options));
}
