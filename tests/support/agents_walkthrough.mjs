// Sessions of openai-agents for Node, and agents that go on from one; prints what came of it.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [folder, baseURL, apiKey] = process.argv.slice(2);
const load = createRequire(`${folder}/`);
const { Agent, OpenAIConversationsSession, Runner, tool } = load("@openai/agents");
const { ScriptedModel, assistantMessage, functionCall } = load("@openai/agents-core/testing");
const { OpenAI } = load("openai");
const hosted = JSON.parse(readFileSync(0, "utf8"));
const client = new OpenAI({ apiKey, baseURL, maxRetries: 0 });
const open = (conversationId) => new OpenAIConversationsSession({ client, conversationId });
const turns = (count) =>
  Array.from({ length: count }, (_, place) => ({ role: "user", content: `${place}` }));
const said = (items) => items.map((item) => item.content[0].text);
const outcome = (promise) =>
  promise.then(
    () => "nothing",
    ({ status, code, param }) => `${status} ${code} ${param}`,
  );
const results = {};

const session = open();
results.create = await session.getSessionId();
await session.addItems(turns(20));
await session.addItems(turns(5));
results.create_items = said(await open(results.create).getItems());
results.list_items = {};
for (const limit of [1, 20, 25, 99]) results.list_items[limit] = said(await session.getItems(limit));
results.too_many = await outcome(session.addItems(turns(21)));
results.delete_item = said([await session.popItem(), await session.popItem()]);
results.left = said(await session.getItems());
await session.clearSession();
results.gone = await outcome(open(results.create).getItems());
results.delete = await session.getItems();

const look = tool({
  name: "look",
  description: "Look at the sky.",
  parameters: { type: "object", properties: {}, required: [], additionalProperties: false },
  execute: async () => "Rain.",
});
const thought = {
  type: "reasoning",
  id: "rs_1",
  content: [{ type: "input_text", text: "The sky decides." }],
};
const model = new ScriptedModel([
  [thought, functionCall("look", {}, { callId: "call_1" })],
  [assistantMessage("It rains.")],
  [assistantMessage("Still.")],
]);
const agent = new Agent({ name: "Weather", model, tools: [look] });
const runner = new Runner({ tracingDisabled: true });
const first = open();
await runner.run(agent, "The weather?", { session: first });
const again = open(await first.getSessionId());
const { finalOutput } = await runner.run(agent, "And now?", { session: again });
results.run = {
  finalOutput,
  sent: model.lastCall.request.input.map(({ type }) => type),
  kept: (await again.getItems()).map(({ type }) => type),
};

const calls = open();
results.hosted = {};
for (const call of hosted) {
  results.hosted[call.name] = await outcome(calls.addItems([call]));
}
results.called = (await calls.getItems()).map(({ name }) => name);
console.log(JSON.stringify(results));
