// A browser's page for the web clients: jsdom's document and storage as globals. Import it before React.

import { JSDOM } from "jsdom";

export const page = new JSDOM("<!doctype html><div id=root></div>", { url: "http://localhost:5173/" });

const globals = {
  window: page.window,
  document: page.window.document,
  navigator: page.window.navigator,
  localStorage: page.window.localStorage,
  IS_REACT_ACT_ENVIRONMENT: true,
};
for (const [name, value] of Object.entries(globals)) {
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
}
