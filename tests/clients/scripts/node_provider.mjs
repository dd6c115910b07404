// The server client: one call for each evaluation.
// In: {api, asks: [{key, default, token, context?}]}. Out: [{value, reason, variant, errorCode, metadata}].

import { answer, given, mapped } from "./io.mjs";
import { OFREPProvider } from "@openfeature/ofrep-provider";
import { OpenFeature } from "@openfeature/server-sdk";

const { api, asks } = await given();

async function client(bearer) {
  const headers = bearer === null ? [] : [["Authorization", `Bearer ${bearer}`]];
  const domain = `as ${bearer}`;
  await OpenFeature.setProviderAndWait(domain, new OFREPProvider({ baseUrl: api, headers }));
  return OpenFeature.getClient(domain);
}

const clients = new Map();
for (const bearer of new Set(asks.map((ask) => ask.token))) {
  clients.set(bearer, await client(bearer));
}

async function evaluate(ask) {
  const asked = clients.get(ask.token);
  const details = await asked[`get${typed(ask.default)}Details`](ask.key, ask.default, ask.context);
  const { value, reason, variant, errorCode, flagMetadata } = details;
  return { value, reason, variant, errorCode: errorCode ?? null, metadata: flagMetadata };
}

function typed(value) {
  const name = typeof value;
  return name[0].toUpperCase() + name.slice(1);
}

answer(await mapped(asks, evaluate));
await OpenFeature.close();
