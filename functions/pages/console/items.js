"use strict";

// Show one item of each type, a tool call together with its outputs.

/** For each type of output: the type of its call, and the field that names the call (else its id does). */
const OUTPUTS = {
  apply_patch_call_output: ["apply_patch_call", "call_id"],
  computer_call_output: ["computer_call", "call_id"],
  custom_tool_call_output: ["custom_tool_call", "call_id"],
  function_call_output: ["function_call", "call_id"],
  local_shell_call_output: ["local_shell_call", "call_id"],
  mcp_approval_response: ["mcp_approval_request", "approval_request_id"],
  program_output: ["program", "call_id"],
  shell_call_output: ["shell_call", "call_id"],
  tool_search_output: ["tool_search_call", "call_id"],
};
const CALLS = new Set(Object.values(OUTPUTS).map(([type]) => type));

/** Return what a call and its outputs have in common; undefined for all other items. */
function pairingKey(item) {
  if (CALLS.has(item.type)) {
    const id = item.type === "mcp_approval_request" ? item.id : item.call_id;
    return id && `${item.type} ${id}`;
  }
  const [type, field] = lookUp(OUTPUTS, item.type) ?? [];
  return type && `${type} ${item[field] ?? item.id}`;
}

const ROLES = { user: "User", assistant: "Assistant", system: "System", developer: "Developer" };

/** For each type: its title, and its body as elements (null where there is nothing to show). */
const ITEM_VIEWS = {
  message: (item) => ({
    title: lookUp(ROLES, item.role) ?? String(item.role),
    body: item.content?.length === 0 ? note("No content.") : contentParts(item.content),
  }),
  output_audio: (item) => ({ title: "Assistant audio", body: sound(item.data, "mp3", item.transcript) }),
  reasoning: (item) => ({ title: "Reasoning", body: reasoning(item) }),
  function_call: (item) => ({
    title: "Function call", name: item.name, body: jsonSection("Arguments", item.arguments),
  }),
  function_call_output: (item) => ({ title: "Function output", body: output(item.output) }),
  custom_tool_call: (item) => ({
    title: "Custom tool call", name: item.name, body: codeSection("Input", String(item.input ?? "")),
  }),
  custom_tool_call_output: (item) => ({ title: "Custom tool output", body: output(item.output) }),
  web_search_call: (item) => ({ title: "Web search", body: webSearch(item.action ?? {}) }),
  file_search_call: (item) => ({ title: "File search", body: fileSearch(item) }),
  computer_call: (item) => ({ title: "Computer use", body: computerCall(item) }),
  computer_call_output: (item) => ({
    title: "Screenshot", body: [
      picture(item.output?.image_url, "Screenshot"),
      item.output?.file_id && facts({ File: item.output.file_id }),
      ...(item.acknowledged_safety_checks ?? []).map(safetyCheck("Acknowledged")),
    ],
  }),
  image_generation_call: (item) => ({
    title: "Generated image", body: [
      item.result && picture(`data:image/${imageFormat(item)};base64,${item.result}`, "Generated image"),
      facts({ Prompt: item.revised_prompt, Size: item.size, Quality: item.quality, Background: item.background }),
    ],
  }),
  code_interpreter_call: (item) => ({
    title: "Code interpreter", body: [
      item.code && codeSection("Code", item.code),
      ...(item.outputs ?? []).map((found) => (
        found.type === "logs" ? codeSection("Output", String(found.logs ?? "")) : picture(found.url)
      )),
    ],
  }),
  local_shell_call: (item) => ({
    title: "Local shell", body: [
      commandLine([].concat(item.action?.command ?? []).join(" ")),
      facts({
        Folder: item.action?.working_directory, User: item.action?.user,
        Environment: Object.entries(item.action?.env ?? {}).map(([name, value]) => `${name}=${value}`).join(" "),
      }),
    ],
  }),
  local_shell_call_output: (item) => ({ title: "Shell output", body: output(item.output) }),
  shell_call: (item) => ({
    title: "Shell", body: [].concat(item.action?.commands ?? item.action?.command ?? []).map(commandLine),
  }),
  shell_call_output: (item) => ({
    title: "Shell output", body: [].concat(item.output ?? []).map(shellOutput),
  }),
  apply_patch_call: (item) => ({
    title: "Patch", name: item.operation?.path, body: [
      facts({ Operation: item.operation?.type?.replaceAll("_", " ") }),
      item.operation?.diff && codeSection("Diff", item.operation.diff),
    ],
  }),
  apply_patch_call_output: (item) => ({ title: "Patch result", body: output(item.output) }),
  mcp_list_tools: (item) => ({
    title: "MCP tools", name: item.server_label, body: [
      item.error && failed(item.error),
      element("ul", { class: "tools" }, (item.tools ?? []).map((tool) => element(
        "li", {}, element("code", {}, inline(tool.name)), tool.description && [" ", inline(tool.description)],
      ))),
    ],
  }),
  mcp_approval_request: (item) => ({
    title: "Approval request", name: `${item.server_label} · ${item.name}`,
    body: jsonSection("Arguments", item.arguments),
  }),
  mcp_approval_response: (item) => ({
    title: item.approve ? "Approved" : "Not approved", body: item.reason && textBlock(item.reason),
  }),
  mcp_call: (item) => ({
    title: "MCP call", name: `${item.server_label} · ${item.name}`, body: [
      jsonSection("Arguments", item.arguments),
      item.error && failed(item.error),
      jsonSection("Output", item.output),
    ],
  }),
  tool_search_call: (item) => ({ title: "Tool search", body: jsonSection("Arguments", item.arguments) }),
  tool_search_output: (item) => ({ title: "Tools found", body: jsonSection("Tools", item.tools) }),
  additional_tools: (item) => ({ title: "Additional tools", body: jsonSection("Tools", item.tools) }),
  configuration_update: ({ reasoning: effort, text }) => ({
    title: "Configuration update", body: jsonSection("Settings", { reasoning: effort, text }),
  }),
  program: (item) => ({ title: "Program", body: codeSection("Code", String(item.code ?? "")) }),
  program_output: (item) => ({ title: "Program output", body: output(item.result) }),
  compaction: (item) => ({
    title: "Compaction", body: item.content ? markdownBlock(item.content) : note("The content is encrypted."),
  }),
  compaction_trigger: () => ({ title: "Compaction trigger", body: note("Earlier items are to be compacted.") }),
  item_reference: (item, conversationId) => ({
    title: "Reference", body: element("p", {}, "To the item ", itemLink(conversationId, item.id)),
  }),
};

/** Return the title, the name and the body of an item; unknown types are shown as JSON. */
function itemView(item, conversationId) {
  const view = lookUp(ITEM_VIEWS, item.type);
  if (view) {
    try {
      return view(item, conversationId);
    } catch {
      // A shape that no version of the contract knows: the JSON tells what there is.
    }
  }
  return { title: String(item.type), body: jsonSection("Content", item) };
}

function itemLink(conversationId, itemId) {
  return element("a", { href: `#/${conversationId}/${itemId}` }, itemId);
}

function contentParts(content) {
  if (typeof content === "string") return markdownBlock(content);
  return content.map(contentPart);
}

function contentPart(part) {
  if (typeof part === "string") return markdownBlock(part);
  switch (part.type) {
    case "input_text":
    case "text":
      return markdownBlock(part.text ?? "");
    case "output_text":
      return [markdownBlock(part.text ?? ""), citations(part.annotations ?? [])];
    case "refusal":
      return element("div", { class: "refusal" }, element("strong", {}, "Refusal"), markdownBlock(part.refusal ?? ""));
    case "input_image":
      return picture(part.image_url) ?? facts({ Image: part.file_id });
    case "input_file":
      return file(part);
    case "input_audio":
      return sound(part.input_audio?.data, part.input_audio?.format ?? "wav");
    default:
      return jsonSection(String(part.type ?? "Content"), part);
  }
}

function citations(annotations) {
  if (!annotations.length) return null;
  return element("ul", { class: "citations", "aria-label": "Sources" }, annotations.map((found) => element(
    "li", {}, found.url ? webLink(found.url, found.title || found.url) : inline(found.filename ?? found.file_id ?? found.type),
  )));
}

function reasoning(item) {
  const texts = [...(item.summary ?? []), ...(item.content ?? [])].map((part) => part.text ?? "");
  if (!texts.length) return note(item.encrypted_content ? "The reasoning is encrypted." : "No reasoning was recorded.");
  const [start] = texts[0].trim().replace(/[*#_`]/g, "").split("\n");
  return folded(visible(start.slice(0, 120)), () => texts.map(markdownBlock), { class: "section" });
}

/** Return a tool's output: text, JSON, or a list of content parts. */
function output(value) {
  const isParts = Array.isArray(value) && value.length && value.every((part) => part?.type);
  return isParts ? value.map(contentPart) : jsonSection("Output", value) ?? note("No output.");
}

function webSearch(action) {
  const pages = (action.sources ?? []).map((source) => element("li", {}, webLink(source.url ?? "")));
  return [
    facts({
      Query: action.query ?? action.queries?.join(", "), Page: action.url && webLink(action.url), Pattern: action.pattern,
    }),
    pages.length > 0 && folded(count(pages.length, "source"), () => element("ul", {}, pages), { class: "section" }),
  ];
}

function fileSearch(item) {
  const results = (item.results ?? []).map((result) => element(
    "li", {}, element("strong", {}, inline(result.filename ?? result.file_id ?? "File")),
    result.score != null && ` ${Math.round(result.score * 100)} %`, result.text && textBlock(result.text),
  ));
  return [
    facts({ Queries: (item.queries ?? []).join(", ") }),
    results.length > 0 && folded(count(results.length, "result"), () => element("ul", {}, results), { class: "section" }),
  ];
}

function computerCall(item) {
  const actions = [].concat(item.actions ?? item.action ?? []);
  return [
    ...actions.map((action) => element("p", {}, inline(actionText(action)))),
    ...(item.pending_safety_checks ?? []).map(safetyCheck("Safety check")),
  ];
}

function actionText({ type, ...details }) {
  const values = Object.entries(details).map(([name, value]) => (
    `${name} ${typeof value === "object" ? JSON.stringify(value) : value}`
  ));
  return [String(type).replaceAll("_", " "), values.join(", ")].filter(Boolean).join(": ");
}

function safetyCheck(label) {
  return (check) => element("p", { class: "warning" }, `${label}: `, inline(check.message ?? check.code ?? check.id));
}

function commandLine(command) {
  return command ? codeBlock(`$ ${command}`) : null;
}

function shellOutput(part) {
  if (typeof part !== "object") return codeSection("Output", String(part));
  const { type, exit_code: code } = part.outcome ?? {};
  const shown = [
    part.stdout && codeSection("Standard output", part.stdout),
    part.stderr && codeSection("Standard error", part.stderr),
    facts({ Outcome: type === "timeout" ? "Timed out" : code != null && `Exit code ${code}` }),
  ].filter(Boolean);
  return shown.length ? shown : note("No output.");
}

function imageFormat(item) {
  return /^(?:png|jpeg|webp)$/.test(item.output_format) ? item.output_format : "png";
}

function failed(error) {
  const text = typeof error === "string" ? error : error.message ?? jsonText(error);
  return element("p", { class: "warning" }, "Error: ", inline(text));
}

function note(text) {
  return element("p", { class: "quiet" }, text);
}
