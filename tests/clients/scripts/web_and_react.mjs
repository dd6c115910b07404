// The web client and a mounted React tree, side by side, while one person after the other signs in.
// In: {api, flags: {key: default}, people: [{user, token}]}. Out: [{web: {key: value}, react: {key: value}}].

import { page } from "./page.mjs";
import { answer, given } from "./io.mjs";
import { OFREPWebProvider } from "@openfeature/ofrep-web-provider";
import { OpenFeature, OpenFeatureProvider, useFlag } from "@openfeature/react-sdk";
import { act, createElement } from "react";
import { createRoot } from "react-dom/client";

const { api, flags, people } = await given();
let token = "";

function Flag({ name }) {
  const { value } = useFlag(name, flags[name]);
  return createElement("li", { "data-flag": name }, JSON.stringify(value));
}

function shown() {
  const items = page.window.document.querySelectorAll("[data-flag]");
  return Object.fromEntries([...items].map((item) => [item.dataset.flag, JSON.parse(item.textContent)]));
}

function evaluated(client) {
  const value = (key) =>
    typeof flags[key] === "boolean" ? client.getBooleanValue(key, flags[key]) : client.getStringValue(key, flags[key]);
  return Object.fromEntries(Object.keys(flags).map((key) => [key, value(key)]));
}

const provider = new OFREPWebProvider({
  baseUrl: api,
  cacheMode: "disabled",
  headersFactory: () => [["Authorization", `Bearer ${token}`]],
});
const root = createRoot(page.window.document.getElementById("root"));
const seen = [];
for (const [index, person] of people.entries()) {
  token = person.token;
  await act(async () => {
    await OpenFeature.setContext({ targetingKey: person.user });
    if (index === 0) {
      await OpenFeature.setProviderAndWait(provider);
      const items = Object.keys(flags).map((name) => createElement(Flag, { key: name, name }));
      root.render(createElement(OpenFeatureProvider, null, items));
    }
  });
  seen.push({ web: evaluated(OpenFeature.getClient()), react: shown() });
}
await act(async () => root.unmount());
await OpenFeature.close();
answer(seen);
