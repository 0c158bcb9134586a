// A client of the types that openapi-typescript made: checked by tsc, then run. Prints what it got.

import createClient from "openapi-fetch";
import type { components, paths } from "./generated.d.ts";

declare const process: { argv: string[] };
const [baseUrl, key, given] = process.argv.slice(2) as [string, string, string];
const items = JSON.parse(given);
const headers = { Authorization: `Bearer ${key}` };
const api = createClient<paths>({ baseUrl, headers });

const created = await api.POST("/conversations", { body: { metadata: { topic: "weather" } } });
if (!created.data) throw new Error(created.error.error.message);
const conversation = { conversation_id: created.data.id };
const appended = await api.POST("/conversations/{conversation_id}/items", {
  params: { path: conversation },
  body: { items: [...items, { type: "message", role: "user", content: "Thanks." }] },
});
if (!appended.data) throw new Error(appended.error.error.message);
const listed = await api.GET("/conversations/{conversation_id}/items", {
  params: {
    path: conversation,
    query: {
      order: "asc",
      INCLUDE: ["message.output_text.logprobs", "reasoning.encrypted_content"],
    },
  },
});
const got = await api.GET("/conversations/{conversation_id}/items/{item_id}", {
  params: { path: { ...conversation, item_id: appended.data.last_id } },
});
// The type tells the members of the union apart.
const said = got.data?.type === "message" ? got.data.role : undefined;
const missing = await api.GET("/conversations/{conversation_id}", {
  params: { path: { conversation_id: "conv_none" } },
});
const code: components["schemas"]["ErrorBody"]["code"] | undefined = missing.error?.error.code;
console.log(
  JSON.stringify({
    create: created.data,
    append: appended.data,
    include: listed.data,
    get: got.data,
    said,
    missing: [missing.response.status, code],
  }),
);
