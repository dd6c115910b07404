// What the web client does on the wire and what it makes of the answers.
// In: {api, scene, flag, token} or, for the scene "refused", {attempts: [{token, user?}]}. Out: see each scene.

import "./page.mjs";
import { answer, given, recorded } from "./io.mjs";
import { OFREPWebProvider } from "@openfeature/ofrep-web-provider";
import { OpenFeature, ProviderEvents } from "@openfeature/web-sdk";

const { api, scene, flag, token, attempts } = await given();
const calls = [];

const provider = (bearer, options) =>
  new OFREPWebProvider({
    baseUrl: api,
    headers: bearer === null ? [] : [["Authorization", `Bearer ${bearer}`]],
    fetchImplementation: recorded(calls),
    ...options,
  });

const until = async (holds) => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 20));
};

const stored = () => Object.keys(localStorage).length > 0;

function seen(client, more = {}) {
  const { value, reason, errorCode } = client.getBooleanDetails(flag, false);
  return { value, reason, errorCode: errorCode ?? null, status: client.providerStatus, calls: calls.splice(0), ...more };
}

const scenes = {
  /** The page is loaded, and loaded again: then the browser's storage answers first and the network second. */
  async revisit() {
    const visits = [];
    for (const visit of ["first", "second"]) {
      await OpenFeature.setProviderAndWait("page", provider(token));
      await until(() => calls.length === 1 && stored());
      visits.push(seen(OpenFeature.getClient("page"), { visit }));
      await OpenFeature.clearProviders();
    }
    answer(visits);
  },

  /** The page stays open and polls. Out: what it shows after three calls; what it shows once that has changed. */
  async poll() {
    const client = OpenFeature.getClient("page");
    const changed = new Promise((resolve) => client.addHandler(ProviderEvents.ConfigurationChanged, resolve));
    await OpenFeature.setProviderAndWait("page", provider(token, { pollInterval: 200, cacheMode: "disabled" }));
    await until(() => calls.length === 3);
    answer(seen(client));
    const { flagsChanged } = await changed;
    answer(seen(client, { flagsChanged }));
  },

  /** A flag is killed while pages are open: as the package is by default, and with the options that make it safe.
   * Out: both pages before the kill; both after the safe one has noticed it, and the first value of a page loaded then,
   * with each cache mode; what the default page shows once it has refreshed. */
  async killed() {
    const options = { defaults: {}, safe: { pollInterval: 200, cacheMode: "disabled" } };
    const open = async (domain, chosen) => {
      await OpenFeature.setProviderAndWait(domain, provider(token, chosen));
      return seen(OpenFeature.getClient(domain));
    };
    const changed = (domain) =>
      new Promise((resolve) => OpenFeature.getClient(domain).addHandler(ProviderEvents.ConfigurationChanged, resolve));
    const pages = async () => {
      const found = {};
      for (const domain of Object.keys(options)) found[domain] = seen(OpenFeature.getClient(domain));
      return found;
    };
    for (const [domain, chosen] of Object.entries(options)) await open(domain, chosen);
    await until(stored);
    const kept = { ...localStorage };
    const noticed = changed("safe");
    answer(await pages());
    await noticed;
    const after = await pages();
    const reloaded = {};
    for (const cacheMode of ["disabled", "network-first", "local-cache-first"]) {
      Object.assign(localStorage, kept);
      reloaded[cacheMode] = await open("defaults", { cacheMode });
    }
    const refreshed = changed("defaults");
    answer({ ...after, reloaded });
    await refreshed;
    answer(await pages());
  },

  /** A page with a token that is not good, or not for the person who is named. */
  async refused() {
    const found = [];
    for (const [index, attempt] of attempts.entries()) {
      const domain = `page ${index}`;
      await OpenFeature.setContext(domain, attempt.user === undefined ? {} : { targetingKey: attempt.user });
      const setting = OpenFeature.setProviderAndWait(domain, provider(attempt.token));
      const failure = await setting.then(() => null, (error) => error.code);
      found.push(seen(OpenFeature.getClient(domain), { failure }));
    }
    answer(found);
  },
};

await scenes[scene]();
await OpenFeature.close();
