// A small Worker behind the gate: reads use the token's entitlements, starting something evaluates the flag.

import { fetchRequestHandler } from "@trpc/server/adapters/fetch";
import { Hono } from "hono";
import { gated, gatedProcedure, gateOf, refuse, t } from "./middleware.js";

const read = { flag: "gastown-access" };
const start = { flag: "gastown-access", live: true };
const startConvoy = { flag: "gastown-convoys", live: true };

const towns = (caller) => ({ towns: [], of: caller.claims.sub });
const started = (caller, what) => ({ started: what, by: caller.claims.sub });

const gastown = t.router({
  listTowns: gatedProcedure(read).query(({ ctx }) => towns(ctx.caller)),
  createTown: gatedProcedure(start).mutation(({ ctx }) => started(ctx.caller, "town")),
  startConvoy: gatedProcedure(startConvoy).mutation(({ ctx }) => started(ctx.caller, "convoy")),
});
const router = t.router({ gastown });

const app = new Hono();
app.onError(refuse);
app.get("/health", (context) => context.text("ok"));
app.get("/towns", gated(read), (context) => context.json(towns(context.var.caller)));
app.post("/towns", gated(start), (context) => context.json(started(context.var.caller, "town"), 201));
app.post("/convoys", gated(startConvoy), (context) => context.json(started(context.var.caller, "convoy"), 201));
app.all("/trpc/*", (context) =>
  fetchRequestHandler({
    endpoint: "/trpc",
    req: context.req.raw,
    router,
    createContext: () => ({ gate: gateOf(context.env), authorization: context.req.header("authorization") }),
  }),
);

export default app;
