// How a service checks access tokens with jose: the same code in Node and in workerd.

import { createRemoteJWKSet, jwtVerify } from "jose";

/** A check by published keys: resolves to the claims or to `{refused: claim or code}`. `at` is a time in seconds. */
export function accessTokens({ jwks, issuer, audience, typ = "at+jwt" }) {
  const keys = createRemoteJWKSet(new URL(jwks));
  return async (token, at) => {
    const currentDate = at === undefined ? undefined : new Date(at * 1000);
    try {
      const { payload } = await jwtVerify(token, keys, { issuer, audience, typ, algorithms: ["ES256"], currentDate });
      return payload;
    } catch (error) {
      return { refused: error.claim ?? error.code ?? String(error) };
    }
  };
}
