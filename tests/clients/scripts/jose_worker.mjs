// The worker that jose_workerd.mjs runs: one check for each request. The keys are kept between requests.

import { accessTokens } from "./access_tokens.mjs";

const kept = new Map();

export default {
  async fetch(request) {
    const { token, at, ...expected } = await request.json();
    const name = JSON.stringify(expected);
    if (!kept.has(name)) kept.set(name, accessTokens(expected));
    const claims = await kept.get(name)(token, at);
    return Response.json({ claims, runtime: navigator.userAgent });
  },
};
