// How a page gets its flags: an evaluation token for the signed-in user, and an OpenFeature provider that uses it.

import { OFREPWebProvider } from "@openfeature/ofrep-web-provider";

const EXCHANGE = {
  grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
  subject_token_type: "urn:ietf:params:oauth:token-type:id_token",
  scope: "evaluate", // for every signed-in user, with access or not; it can only evaluate flags
};
const EARLY = 30_000;

/**
 * The flags of one user, as an OpenFeature provider. Create a new one when another user signs in.
 * @param {{api: string, identityToken: () => Promise<string>, pollInterval?: number}} options
 */
export function gateProvider({ api, identityToken, pollInterval = 15_000 }) {
  const token = evaluationTokens(api, identityToken);
  return new OFREPWebProvider({
    baseUrl: api,
    pollInterval, // 304 if nothing changed
    cacheMode: "disabled", // cached flags may be out of date
    headersFactory: async () => [["Authorization", `Bearer ${await token()}`]],
  });
}

/** Returns the current evaluation token: fetched on first use, and again shortly before it expires. */
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
      until = Infinity; // one fetch at a time; other callers wait for it
      held = fetched().catch((error) => {
        held = undefined;
        throw error;
      });
    }
    return held;
  };
}
