"use strict";

// List conversations by last change, the newest first.

const TITLE_NAMES = ["title", "name", "subject", "topic"];
/** Number of empty pages after which a search stops, and shows a button to continue. */
const EMPTY_PAGES = 5;

function titleName({ metadata }) {
  return TITLE_NAMES.find((name) => metadata?.[name]);
}

function titleOf(conversation) {
  const name = titleName(conversation);
  return name ? visible(conversation.metadata[name]) : conversation.id;
}

/** Return the pairs of metadata, without the one that is the title. */
function metadataChips(conversation) {
  const pairs = Object.entries(conversation.metadata ?? {}).filter(([name]) => name !== titleName(conversation));
  if (!pairs.length) return null;
  return element("span", { class: "chips" }, pairs.map(([name, value]) => element("span", { class: "chip" }, inline(`${name}: ${value}`))));
}

/** Return the pairs of a filter such as `topic=billing, plan=pro`; throw if it is none. */
function parsePairs(text) {
  const pairs = text.split(",").map((pair) => pair.trim()).filter(Boolean);
  return Object.fromEntries(pairs.map((pair) => {
    const [, name, value] = /^([^=]+)=(.*)$/.exec(pair) ?? [];
    if (!name) throw new Error(`“${pair}” is not a pair of metadata: write name=value.`);
    return [name.trim(), value.trim()];
  }));
}

class ConversationList {
  #controller = new AbortController();
  #after = "";
  #isLoading = false;
  #hasMore = false;
  #observer;

  constructor(scroller, list, end) {
    this.list = list;
    this.end = end;
    const onMove = ([entry]) => entry.isIntersecting && this.#hasMore && this.#load();
    this.#observer = new IntersectionObserver(onMove, { root: scroller, rootMargin: "600px 0px" });
    this.#observer.observe(end);
  }

  /** Begin again with other filters. */
  async load({ search = "", metadata = {} } = {}) {
    this.clear();
    this.query = { search, metadata: Object.keys(metadata).length ? JSON.stringify(metadata) : "" };
    await this.#load();
  }

  clear() {
    this.#controller.abort();
    this.#controller = new AbortController();
    this.#after = "";
    this.#isLoading = this.#hasMore = false;
    this.list.replaceChildren();
    this.end.replaceChildren();
  }

  /** Mark the open conversation. */
  mark(conversationId) {
    this.current = conversationId;
    for (const link of this.list.querySelectorAll("a")) this.#markLink(link);
  }

  /** Move to a conversation, if it is listed. */
  focus(conversationId) {
    this.list.querySelector(`a[href="#/${CSS.escape(conversationId)}"]`)?.focus();
  }

  async #load() {
    if (this.#isLoading) return;
    this.#isLoading = true;
    const { signal } = this.#controller;
    this.end.replaceChildren(note(this.query.search ? "Searching …" : "Loading …"));
    try {
      const isFruitful = await whileWaiting(this.#loadPages(signal), () => {
        if (!signal.aborted) this.end.replaceChildren(note("This takes longer than usual …"), button("Try again", () => this.#restart()));
      });
      this.#showEnd(isFruitful);
    } catch (error) {
      if (isAbort(error)) return;
      this.#hasMore = false;
      this.end.replaceChildren(failureNotice(error, () => this.#restart()));
    }
    this.#isLoading = false;
  }

  /** Give up the request under way and make it again. */
  #restart() {
    this.#controller.abort();
    this.#controller = new AbortController();
    this.#isLoading = false;
    this.#load();
  }

  /** Read a page; one of a search can be empty and yet not the last. Return whether any was not. */
  async #loadPages(signal) {
    for (let empty = 0; empty < EMPTY_PAGES; empty += 1) {
      const query = { order: "desc", limit: PAGE_CONVERSATIONS, after: this.#after, ...this.query };
      const page = await get("/conversations", query, signal);
      this.#after = page.last_id;
      this.#hasMore = page.has_more;
      this.list.append(...page.data.map((found) => this.#row(found)));
      if (page.data.length || !page.has_more) return page.data.length > 0;
    }
    return false;
  }

  #showEnd(isFruitful) {
    const found = this.list.childElementCount;
    const isFiltered = Boolean(this.query.search || this.query.metadata);
    if (this.#hasMore) {
      const label = this.query.search ? "Search in older conversations" : "Show more conversations";
      this.end.replaceChildren(button(label, () => this.#load()));
    } else if (found) {
      this.end.replaceChildren();
    } else {
      this.end.replaceChildren(note(isFiltered ? "No conversation matches." : "There are no conversations yet."));
    }
    announce(count(found, "conversation"));
    if (!isFruitful) return;
    // An observer reports only changes: look again whether the end is still near.
    this.#observer.unobserve(this.end);
    this.#observer.observe(this.end);
  }

  #row(conversation) {
    const link = element(
      "a", { href: `#/${conversation.id}` }, element("strong", { dir: "auto" }, titleOf(conversation)),
      element("span", { class: "quiet" }, `Created ${dateText(conversation.created_at)}`), metadataChips(conversation),
    );
    this.#markLink(link);
    return element("li", {}, link);
  }

  #markLink(link) {
    if (link.hash === `#/${this.current}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}
