// Verifies Headgate access tokens, and evaluates flags where the token's entitlements may be too old. Knows no routes.

import { createRemoteJWKSet, errors, jwtVerify } from "jose";

/** Why a request is refused: 401 missing or invalid token, 403 flag is off, 503 Headgate does not answer. */
export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/**
 * A gate for one Headgate stack.
 * @param {{issuer: string, audience: string}} stack the `issuer` (also the API's URL) and the tokens' `audience`
 */
export function headgate({ issuer, audience }) {
  const keys = createRemoteJWKSet(new URL(`${issuer}/.well-known/jwks.json`));
  const expected = { issuer, audience, typ: "at+jwt", algorithms: ["ES256"], requiredClaims: ["sub", "exp", "iat"] };

  /** Returns a request's caller: the verified claims of its bearer token, and the token. Throws Refused. */
  async function caller(authorization) {
    const token = /^Bearer ([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(authorization ?? "")?.[1];
    if (!token) throw new Refused(401, "a bearer token is required");
    const { payload } = await jwtVerify(token, keys, expected).catch((error) => {
      throw isBadToken(error) ? new Refused(401, "the token is invalid") : unavailable();
    });
    if (payload.aud !== audience) throw new Refused(401, "the token is invalid"); // a list of audiences
    return { claims: payload, token };
  }

  /** Returns if the flag was on when the token was issued. For reads and running work. Throws Refused. */
  function entitled({ claims }, flag) {
    const { entitlements } = claims;
    if (!Array.isArray(entitlements) || !entitlements.includes(flag)) throw new Refused(403, `${flag} is off for you`);
  }

  /** Returns if the flag is on now; a kill takes effect within 5 s. For starting something. Throws Refused. */
  async function live({ token }, flag) {
    const response = await fetch(`${issuer}/ofrep/v1/evaluate/flags/${encodeURIComponent(flag)}`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: '{"context":{}}', // the token names the subject
      signal: AbortSignal.timeout(2_000),
    }).catch(() => {
      throw unavailable();
    });
    if (response.status === 401) throw new Refused(401, "the token is no longer valid");
    if (response.status !== 200 && response.status !== 404) throw unavailable();
    const answer = await response.json().catch(() => ({}));
    if (answer.value !== true) throw new Refused(403, `${flag} is off for you`);
  }

  return { caller, entitled, live };
}

const unavailable = () => new Refused(503, "Headgate does not answer, try again"); // never an allow

/** Whether jose rejected the token itself. Otherwise, the keys could not be fetched. */
function isBadToken(error) {
  if (error instanceof errors.JWKSNoMatchingKey) return true;
  return error instanceof errors.JOSEError && /^ERR_(JWT|JWS|JOSE_ALG|JOSE_NOT_SUPPORTED)/.test(error.code);
}
