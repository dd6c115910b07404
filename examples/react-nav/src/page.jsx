// The page: the application calls `show` once somebody is signed in, and again when somebody else is.

import { OpenFeature, OpenFeatureProvider } from "@openfeature/react-sdk";
import { createRoot } from "react-dom/client";
import { gateProvider } from "./gate.js";
import { Nav } from "./Nav.jsx";

let root;

/** Show the navigation in `element`; resolves once the flags are there. `options`: see gateProvider. */
export async function show(element, options) {
  root ??= createRoot(element);
  root.render(
    <OpenFeatureProvider>
      <Nav />
    </OpenFeatureProvider>,
  );
  await OpenFeature.setProviderAndWait(gateProvider(options));
}
