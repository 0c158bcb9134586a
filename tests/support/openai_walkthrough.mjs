// All eight operations of openai for Node on one conversation; prints what they answered.

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
const answers = { create: made, get: await api.retrieve(made.id), create_items: [], get_item: [] };
answers.update = await api.update(made.id, { metadata: { mood: "calm" } });
for (let from = 0; from < given.length; from += 20) {
  const page = await api.items.create(made.id, { items: given.slice(from, from + 20) });
  answers.create_items.push(...page.data);
}
answers.list_items = await everything(api.items.list(made.id, { limit: 10, order: "asc" }));
answers.include = await everything(
  api.items.list(made.id, { order: "asc", include: ["computer_call_output.output.image_url"] }),
);
for (const { id } of answers.list_items) answers.get_item.push(await api.items.retrieve(id, there));
answers.delete_item = await api.items.delete(answers.list_items[0].id, there);
answers.left = await everything(api.items.list(made.id));
answers.delete = await api.delete(made.id);
await api.retrieve(made.id).catch((error) => {
  answers.gone = error instanceof NotFoundError && `${error.status} ${error.code}`;
});
console.log(JSON.stringify(answers));
