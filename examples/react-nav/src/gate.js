// How a page comes to its flags: an evaluation token for whoever is signed in, and the OpenFeature provider that uses it.

import { OFREPWebProvider } from "@openfeature/ofrep-web-provider";

const EXCHANGE = {
  grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
  subject_token_type: "urn:ietf:params:oauth:token-type:id_token",
  scope: "evaluate", // for everybody who is signed in, let in or not; good for nothing but asking
};
const EARLY = 30_000;

/**
 * The flags of one person, as an OpenFeature provider. Make a new one when somebody else signs in.
 * @param {{api: string, identityToken: () => Promise<string>, pollInterval?: number}} options
 */
export function gateProvider({ api, identityToken, pollInterval = 15_000 }) {
  const token = evaluationTokens(api, identityToken);
  return new OFREPWebProvider({
    baseUrl: api,
    pollInterval, // 304 while nothing changed
    cacheMode: "disabled", // yesterday's flags are no answer to who may enter today
    headersFactory: async () => [["Authorization", `Bearer ${await token()}`]],
  });
}

/** The current evaluation token: fetched when first needed, and again shortly before it ends. */
function evaluationTokens(api, identityToken) {
  let held;
  let until = 0;
  const fetched = async () => {
    const form = new URLSearchParams({ ...EXCHANGE, subject_token: await identityToken() });
    const response = await fetch(`${api}/v1/token`, { method: "POST", body: form });
    if (!response.ok) throw new Error(`no evaluation token: ${response.status}`);
    const { access_token, expires_in } = await response.json();
    until = Date.now() + expires_in * 1_000 - EARLY;
    return access_token;
  };
  return () => {
    if (!held || Date.now() >= until) {
      until = Infinity; // one fetch at a time; who asks meanwhile waits for it
      held = fetched().catch((error) => {
        held = undefined;
        throw error;
      });
    }
    return held;
  };
}
