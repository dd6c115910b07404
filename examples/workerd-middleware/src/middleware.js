// The gate as Hono middleware and as tRPC procedures. Each route names its own flag.

import { initTRPC, TRPCError } from "@trpc/server";
import { headgate, Refused } from "./gate.js";

const WORDS = { 401: "UNAUTHORIZED", 403: "FORBIDDEN", 503: "SERVICE_UNAVAILABLE" };
const gates = new Map();

/** Returns the gate that the Worker's variables name: one per isolate, because it caches the keys. */
export function gateOf({ HEADGATE_ISSUER: issuer, HEADGATE_AUDIENCE: audience }) {
  if (!gates.has(issuer)) gates.set(issuer, headgate({ issuer, audience }));
  return gates.get(issuer);
}

/** Admits a verified caller if `flag` is on: when the token was issued, or with `live: true`, now. */
export function gated({ flag, live = false }) {
  return async (context, next) => {
    context.set("caller", await pass(gateOf(context.env), context.req.header("authorization"), { flag, live }));
    await next();
  };
}

/** Hono's error handler: a refusal as problem+json, any other error as a generic 500. */
export function refuse(error, context) {
  const status = error instanceof Refused ? error.status : 500;
  if (status === 401) context.header("www-authenticate", "Bearer");
  if (status === 503) context.header("retry-after", "1");
  const detail = status === 500 ? "internal error" : error.message;
  return context.json({ type: "about:blank", status, detail }, status, { "content-type": "application/problem+json" });
}

export const t = initTRPC.context().create({ isDev: false }); // no stack traces in responses

/** A procedure behind the gate. In a batch, each procedure is decided separately. */
export const gatedProcedure = (needs) =>
  t.procedure.use(async ({ ctx, next }) => {
    const caller = await pass(ctx.gate, ctx.authorization, needs).catch((error) => {
      if (error instanceof Refused) throw new TRPCError({ code: WORDS[error.status], message: error.message });
      throw error;
    });
    return next({ ctx: { ...ctx, caller } });
  });

async function pass(gate, authorization, { flag, live }) {
  const caller = await gate.caller(authorization);
  await (live ? gate.live(caller, flag) : gate.entitled(caller, flag));
  return caller;
}
