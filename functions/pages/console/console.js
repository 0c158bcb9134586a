"use strict";

// Put the page together: sign in, the list, the conversation that the address names.

const page = (id) => document.getElementById(id);
const list = new ConversationList(page("list-scroller"), page("list"), page("list-end"));
const preferences = { order: "asc" };
let opened = null;

// ------------------------------------------------------------------ signing in

const KEPT = "conversations-console";

function startSession() {
  const kept = JSON.parse(sessionStorage.getItem(KEPT) ?? "null");
  if (!kept) return showSignIn("");
  Object.assign(session, kept);
  showApp();
}

async function signIn(event) {
  event.preventDefault();
  const [key, endUser] = [page("key").value.trim(), page("sign-in-end-user").value.trim()];
  const problem = page("sign-in-error");
  problem.textContent = "";
  if (!KEY_PATTERN.test(key)) {
    problem.textContent = "Enter an API key: 1 to 256 visible ASCII characters.";
    page("key").focus();
    return;
  }
  if (endUser && !END_USER_PATTERN.test(endUser)) {
    problem.textContent = "The end user is 1 to 256 printable ASCII characters.";
    return;
  }
  const submit = event.submitter ?? page("sign-in-form").querySelector(".primary");
  submit.disabled = true;
  Object.assign(session, { key, endUser });
  try {
    const onSlow = () => { problem.textContent = "The API takes longer than usual …"; };
    await whileWaiting(get("/conversations", { limit: 1 }), onSlow);
    if (page("keep-key").checked) sessionStorage.setItem(KEPT, JSON.stringify(session));
    problem.textContent = "";
    page("key").value = "";
    showApp();
  } catch (error) {
    session.key = "";
    problem.textContent = error.message;
  }
  submit.disabled = false;
}

function showSignIn(message) {
  session.key = "";
  sessionStorage.removeItem(KEPT);
  closeConversation();
  list.clear();
  page("app").hidden = true;
  page("sign-in").hidden = false;
  page("sign-in-error").textContent = message;
  page("sign-in-end-user").value = session.endUser;
  page("key").focus();
}

/** Show the sign-in form. Called for every response that rejects the key. */
function onKeyRejected() {
  if (page("sign-in").hidden) showSignIn("The API key is no longer accepted. Sign in again.");
}

function showApp() {
  page("sign-in").hidden = true;
  page("app").hidden = false;
  page("end-user").value = session.endUser;
  applyFilters();
  route();
  if (!page("app").classList.contains("is-reading")) page("search").focus();
}

// ------------------------------------------------------------------- the list

function applyFilters() {
  const problem = page("filter-error");
  const endUser = page("end-user").value.trim();
  problem.textContent = "";
  try {
    if (endUser && !END_USER_PATTERN.test(endUser)) {
      throw new Error("The end user is 1 to 256 printable ASCII characters.");
    }
    const metadata = parsePairs(page("metadata").value);
    changeEndUser(endUser);
    list.load({ search: page("search").value.trim(), metadata });
  } catch (error) {
    problem.textContent = error.message;
  }
}

/** Read as another end user: the open conversation is not theirs. */
function changeEndUser(endUser) {
  if (endUser === session.endUser) return;
  session.endUser = endUser;
  if (sessionStorage.getItem(KEPT)) sessionStorage.setItem(KEPT, JSON.stringify(session));
  location.hash = "";
}

let typing = 0;

function onSearchInput() {
  clearTimeout(typing);
  typing = setTimeout(applyFilters, 400);
}

// ----------------------------------------------------------- the conversation

/** Show what the address names: `#/conv_abc123`, or an item of it, `#/conv_abc123/msg_1`. */
function route() {
  if (!page("sign-in").hidden) return;
  const [, conversationId, itemId] = location.hash.split("/").map(decodeURIComponent);
  page("app").classList.toggle("is-reading", Boolean(conversationId));
  list.mark(conversationId);
  if (!conversationId) {
    const left = opened?.conversationId;
    closeConversation();
    page("conversation").replaceChildren(note("Choose a conversation to read it."));
    document.title = "Conversations";
    if (left) list.focus(left);
  } else if (opened?.conversationId !== conversationId || !(itemId && opened.show(itemId))) {
    openConversation(conversationId, itemId);
  }
}

function closeConversation() {
  opened?.close();
  opened = null;
}

async function openConversation(conversationId, itemId) {
  closeConversation();
  const scroller = element("div", { class: "scroller", tabindex: -1 });
  const head = element("header", { class: "conversation-head" }, backLink(), element("h1", {}, conversationId));
  const notice = element("div", { class: "notice", role: "status" }, note("Loading …"));
  page("conversation").replaceChildren(head, notice, scroller);
  const transcript = new Transcript(scroller, conversationId, preferences.order);
  opened = transcript;
  const reopen = () => openConversation(conversationId, itemId);
  try {
    const [conversation] = await whileWaiting(
      Promise.all([get(conversationPath(conversationId)), transcript.open(itemId)]),
      () => notice.replaceChildren(note("This takes longer than usual …"), button("Try again", reopen)),
    );
    if (opened !== transcript) return;
    notice.replaceChildren();
    document.title = `${titleOf(conversation)} – Conversations`;
    head.replaceWith(conversationHead(conversation, transcript, notice));
    if (itemId) transcript.show(itemId);
    else page("transcript").focus({ preventScroll: true });
    announce(`Conversation ${titleOf(conversation)} is open.`);
  } catch (error) {
    if (opened === transcript && !isAbort(error)) notice.replaceChildren(failureNotice(explained(error, conversationId), reopen));
  }
}

/** Return an error of the API in the words of this page. */
function explained(error, conversationId) {
  if (error.code === "conversation_not_found") {
    return new Error(`There is no conversation ${conversationId}. It was deleted, or it belongs to another account or end user.`);
  }
  if (error.code === "item_not_found") {
    return new Error("There is no such item in this conversation. It may have been deleted.");
  }
  return error;
}

function backLink() {
  return element("a", { class: "back", href: "#", "aria-label": "Back to the list" }, "‹");
}

function conversationHead(conversation, transcript, notice) {
  const { id, created_at: createdAt } = conversation;
  return element(
    "header", { class: "conversation-head" }, backLink(),
    element("h1", { dir: "auto" }, titleOf(conversation)),
    element(
      "div", { class: "toolbar", role: "toolbar", "aria-label": "Conversation" }, orderChoice(id), followButton(transcript, notice),
      exportButton("Copy Markdown", conversation, (items, control) => copy(asMarkdown(conversation, items), control)),
      exportButton("Copy JSON", conversation, (items, control) => copy(asJson(conversation, items), control)),
      exportButton("Download JSONL", conversation, (items) => download(`${id}.jsonl`, "application/jsonl", asJsonLines(items))),
    ),
    element(
      "p", { class: "quiet about" }, element("code", {}, id), button("Copy id", (event) => copy(id, event.target)),
      `Created ${dateText(createdAt)}`, metadataChips(conversation),
    ),
  );
}

function orderChoice(conversationId) {
  const choose = (event) => {
    preferences.order = event.target.value;
    openConversation(conversationId);
  };
  return element(
    "select", { "aria-label": "Order", onchange: choose },
    element("option", { value: "asc", selected: preferences.order === "asc" }, "Oldest first"),
    element("option", { value: "desc", selected: preferences.order === "desc" }, "Newest first"),
  );
}

function followButton(transcript, notice) {
  const set = (isOn) => control.setAttribute("aria-pressed", isOn);
  const start = () => {
    notice.replaceChildren();
    set(true);
    transcript.follow((error) => {
      set(false);
      transcript.stop();
      notice.replaceChildren(failureNotice(explained(error, transcript.conversationId), start));
    });
  };
  const stop = () => {
    set(false);
    transcript.stop();
  };
  const control = button("Follow", () => (control.getAttribute("aria-pressed") === "true" ? stop() : start()), {
    "aria-pressed": "false", title: "Show new items as they are appended",
  });
  return control;
}

/** Return a button that reads the whole conversation and then gives it to `take`. */
function exportButton(label, conversation, take) {
  return button(label, async (event) => {
    const control = event.currentTarget;
    control.disabled = true;
    try {
      const items = await readAll(conversation.id, (read) => { control.textContent = `${count(read, "item")} …`; });
      control.textContent = label;
      await take(items, control);
    } catch (error) {
      control.textContent = label;
      control.after(failureNotice(error));
    }
    control.disabled = false;
  });
}

// ------------------------------------------------------------------- the keys

const KEYS = {
  "/": goToSearch,
  j: () => moveFocus(1),
  k: () => moveFocus(-1),
  Escape: () => { location.hash = ""; },
};

/** Move to the search box, which a phone hides while a conversation is open. */
function goToSearch() {
  if (!page("search").checkVisibility()) {
    addEventListener("hashchange", () => page("search").focus(), { once: true });
    location.hash = "";
  }
  page("search").focus();
}

/** Move to the next or the previous item, or conversation of the list. */
function moveFocus(step) {
  const isReading = Boolean(opened);
  const all = [...document.querySelectorAll(isReading ? "article" : "#list a")];
  const current = document.activeElement?.closest(isReading ? "article" : "#list a");
  const next = all[current ? all.indexOf(current) + step : 0];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

function onKey(event) {
  const isTyping = /^(?:INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (event.ctrlKey || event.metaKey || event.altKey || (isTyping && event.key !== "Escape")) return;
  if (page("app").hidden || !Object.hasOwn(KEYS, event.key)) return;
  event.preventDefault();
  KEYS[event.key]();
}

page("sign-in-form").addEventListener("submit", signIn);
page("sign-out").addEventListener("click", () => showSignIn(""));
page("refresh").addEventListener("click", applyFilters);
page("filters").addEventListener("submit", (event) => {
  event.preventDefault();
  applyFilters();
});
page("search").addEventListener("input", onSearchInput);
addEventListener("hashchange", route);
addEventListener("keydown", onKey);
startSession();
