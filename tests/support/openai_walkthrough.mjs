// All eight operations of openai for Node on one conversation; prints what they returned.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [folder, baseURL, apiKey] = process.argv.slice(2);
const { NotFoundError, OpenAI } = createRequire(`${folder}/`)("openai");
const given = JSON.parse(readFileSync(0, "utf8"));
const api = new OpenAI({ apiKey, baseURL, maxRetries: 0 }).conversations;
const everything = async (pages) => {
  const items = [];
  for await (const item of pages) items.push(item);
  return items;
};

const made = await api.create({ metadata: { topic: "weather" } });
const there = { conversation_id: made.id };
const results = { create: made, get: await api.retrieve(made.id), create_items: [], get_item: [] };
results.update = await api.update(made.id, { metadata: { mood: "calm" } });
for (let from = 0; from < given.length; from += 20) {
  const page = await api.items.create(made.id, { items: given.slice(from, from + 20) });
  results.create_items.push(...page.data);
}
results.list_items = await everything(api.items.list(made.id, { limit: 10, order: "asc" }));
results.include = await everything(
  api.items.list(made.id, { order: "asc", include: ["computer_call_output.output.image_url"] }),
);
for (const { id } of results.list_items) results.get_item.push(await api.items.retrieve(id, there));
results.delete_item = await api.items.delete(results.list_items[0].id, there);
results.left = await everything(api.items.list(made.id));
results.delete = await api.delete(made.id);
await api.retrieve(made.id).catch((error) => {
  results.gone = error instanceof NotFoundError && `${error.status} ${error.code}`;
});
console.log(JSON.stringify(results));
