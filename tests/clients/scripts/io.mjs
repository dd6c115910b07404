// One JSON document in on stdin, one out on stdout: how the tests speak to every script here.

import { json } from "node:stream/consumers";

export const given = () => json(process.stdin);

export const answer = (document) => process.stdout.write(`${JSON.stringify(document)}\n`);

/** What `call` gives for each item, in order, at most `width` at a time. */
export async function mapped(items, call, width = 4) {
  const results = new Array(items.length);
  let next = 0;
  const lane = async () => {
    while (next < items.length) {
      const index = next++;
      results[index] = await call(items[index], index);
    }
  };
  await Promise.all(Array.from({ length: width }, lane));
  return results;
}

/** A fetch that keeps what went over the wire: for what a client does not tell. */
export function recorded(calls, send = fetch) {
  return async (request) => {
    const sent = Object.fromEntries(request.headers);
    const response = await send(request);
    calls.push({
      method: request.method,
      path: new URL(request.url).pathname,
      headers: Object.keys(sent).sort(),
      ifNoneMatch: sent["if-none-match"] ?? null,
      status: response.status,
      etag: response.headers.get("etag"),
      revision: Number(response.headers.get("x-headgate-revision")),
    });
    return response;
  };
}
