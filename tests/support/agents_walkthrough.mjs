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
const refusal = (promise) =>
  promise.then(
    () => "nothing",
    ({ status, code, param }) => `${status} ${code} ${param}`,
  );
const answers = {};

const session = open();
answers.create = await session.getSessionId();
await session.addItems(turns(20));
await session.addItems(turns(5));
answers.create_items = said(await open(answers.create).getItems());
answers.list_items = {};
for (const limit of [1, 20, 25, 99]) answers.list_items[limit] = said(await session.getItems(limit));
answers.too_many = await refusal(session.addItems(turns(21)));
answers.delete_item = said([await session.popItem(), await session.popItem()]);
answers.left = said(await session.getItems());
await session.clearSession();
answers.gone = await refusal(open(answers.create).getItems());
answers.delete = await session.getItems();

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
answers.run = {
  finalOutput,
  asked: model.lastCall.request.input.map(({ type }) => type),
  kept: (await again.getItems()).map(({ type }) => type),
};

const calls = open();
answers.hosted = {};
for (const call of hosted) {
  answers.hosted[call.name] = await refusal(calls.addItems([call]));
}
answers.called = (await calls.getItems()).map(({ name }) => name);
console.log(JSON.stringify(answers));
