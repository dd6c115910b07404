// jose in Node. In: {checks: [{jwks, issuer, audience, typ?, token, at?}]}. Out: [the claims, or {refused}].

import { accessTokens } from "./access_tokens.mjs";
import { answer, given } from "./io.mjs";

const { checks } = await given();
const found = [];
for (const { token, at, ...expected } of checks) found.push(await accessTokens(expected)(token, at));
answer(found);
