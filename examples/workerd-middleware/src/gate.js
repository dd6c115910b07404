// Who may pass: verifies Headgate access tokens, and asks live where the token's word is too old. Knows no routes.

import { createRemoteJWKSet, errors, jwtVerify } from "jose";

/** Why somebody may not pass: 401 no good token, 403 not let in, 503 cannot tell. */
export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/**
 * A gate for one Headgate stack.
 * @param {{issuer: string, audience: string}} stack the `issuer` (also the API's address) and the tokens' `audience`
 */
export function headgate({ issuer, audience }) {
  const keys = createRemoteJWKSet(new URL(`${issuer}/.well-known/jwks.json`));
  const expected = { issuer, audience, typ: "at+jwt", algorithms: ["ES256"], requiredClaims: ["sub", "exp", "iat"] };

  /** The caller of a request: the verified claims of its bearer token, and the token. Throws Refused. */
  async function caller(authorization) {
    const token = /^Bearer ([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(authorization ?? "")?.[1];
    if (!token) throw new Refused(401, "a bearer token is required");
    const { payload } = await jwtVerify(token, keys, expected).catch((error) => {
      throw isBadToken(error) ? new Refused(401, "the token is not good here") : unavailable();
    });
    if (payload.aud !== audience) throw new Refused(401, "the token is not good here"); // a list with others' names
    return { claims: payload, token };
  }

  /** Pass when the token says that a flag was on as it was minted. For what reads or goes on. Throws Refused. */
  function entitled({ claims }, flag) {
    const { entitlements } = claims;
    if (!Array.isArray(entitlements) || !entitlements.includes(flag)) throw new Refused(403, `${flag} is off for you`);
  }

  /** Pass when a flag is on now: a kill counts within 5 s. For what starts something. Throws Refused. */
  async function live({ token }, flag) {
    const response = await fetch(`${issuer}/ofrep/v1/evaluate/flags/${encodeURIComponent(flag)}`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: '{"context":{}}', // the token says who asks
      signal: AbortSignal.timeout(2_000),
    }).catch(() => {
      throw unavailable();
    });
    if (response.status === 401) throw new Refused(401, "the token is not good any more");
    if (response.status !== 200 && response.status !== 404) throw unavailable();
    const answer = await response.json().catch(() => ({}));
    if (answer.value !== true) throw new Refused(403, `${flag} is off for you`);
  }

  return { caller, entitled, live };
}

const unavailable = () => new Refused(503, "the gate cannot be asked"); // never an allow

/** Whether jose refused the token itself; else the keys could not be fetched. */
function isBadToken(error) {
  if (error instanceof errors.JWKSNoMatchingKey) return true;
  return error instanceof errors.JOSEError && /^ERR_(JWT|JWS|JOSE_ALG|JOSE_NOT_SUPPORTED)/.test(error.code);
}
