"use strict";

// Export a conversation as Markdown, JSON or JSON Lines.

/** Return all items of a conversation; `onProgress` receives the number of items read so far. */
async function readAll(conversationId, onProgress, signal) {
  const items = [];
  for await (const page of allItems(conversationId, signal)) {
    items.push(...page);
    onProgress(items.length);
  }
  return items;
}

function asMarkdown(conversation, items) {
  return [`# ${titleOf(conversation)}`, ...items.map(itemMarkdown)].join("\n\n") + "\n";
}

function asJson(conversation, items) {
  return JSON.stringify({ ...conversation, items }, null, 2);
}

function asJsonLines(items) {
  return items.map((item) => `${JSON.stringify(item)}\n`);
}

/** Return a message as its text, and any other item as its title and its JSON. */
function itemMarkdown(item) {
  if (item.type === "message") {
    return `## ${lookUp(ROLES, item.role) ?? item.role}\n\n${[].concat(item.content ?? []).map(partMarkdown).join("\n\n")}`;
  }
  return `## ${itemView(item).title}\n\n${fenced(JSON.stringify(item, null, 2), "json")}`;
}

function partMarkdown(part) {
  if (typeof part === "string") return part;
  return part.text ?? part.refusal ?? fenced(JSON.stringify(part, null, 2), "json");
}

/** Return a code block whose fence is longer than any in the text. */
function fenced(text, language) {
  const longest = Math.max(2, ...(text.match(/`+/g) ?? []).map((found) => found.length));
  const fence = "`".repeat(longest + 1);
  return `${fence}${language}\n${text}\n${fence}`;
}
