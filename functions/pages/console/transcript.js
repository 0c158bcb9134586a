"use strict";

// Show the items of one conversation: a stretch of them that grows at both ends.

const BLOCK_ITEMS = 25;
const CONTEXT_ITEMS = 20;
const FOLLOW_MS = 2_000;

class Transcript {
  #controller = new AbortController();
  #list;
  #blocks = [];
  #outputs = new Map();
  #homes = new Map();
  #timer = 0;

  /** Show in `scroller`; `order` is "asc" or "desc". */
  constructor(scroller, conversationId, order) {
    this.scroller = scroller;
    this.conversationId = conversationId;
    this.isNewestFirst = order === "desc";
    this.#list = new WindowedList(scroller, (block) => this.#articles(block), (block) => this.#description(block));
    const keepPlace = (change) => this.#list.keepPlace(change);
    this.earlier = new Edge(() => this.#loadEarlier(), keepPlace);
    this.later = new Edge(() => this.#loadLater(), keepPlace);
    const [above, below] = this.isNewestFirst ? [this.later, this.earlier] : [this.earlier, this.later];
    below.watch(scroller);
    scroller.replaceChildren(above.element, this.#list.element, below.element);
  }

  /** Load the first stretch: around an item, or from the end that the order begins with. */
  async open(itemId) {
    if (itemId) return this.#openAround(itemId);
    const page = await this.#read({ order: this.isNewestFirst ? "desc" : "asc" });
    if (this.isNewestFirst) page.data.reverse();
    this.#add(page.data, false);
    this.first = this.isNewestFirst ? page.last_id : page.first_id;
    this.last = this.isNewestFirst ? page.first_id : page.last_id;
    this.earlier.set(this.isNewestFirst && page.has_more);
    this.later.set(!this.isNewestFirst && page.has_more);
    if (!page.data.length) this.#list.element.append(note("This conversation has no items."));
  }

  /** Scroll to an item, which has to be loaded, and give it the focus; return whether it is. */
  show(itemId) {
    const home = this.#homes.get(itemId)?.id ?? itemId;
    const block = this.#blocks.find(({ items }) => items.some((item) => item.id === home));
    if (!block) return false;
    if (!block.isBuilt) this.#list.build(block);
    const found = block.element.querySelector(`[data-id="${CSS.escape(itemId)}"]`);
    found.scrollIntoView({ block: "start" });
    found.focus({ preventScroll: true });
    return true;
  }

  /** Poll for items that are appended, until `stop` or `close`. */
  follow(onFailure) {
    const poll = async () => {
      try {
        if (!document.hidden) await this.#loadAppended();
      } catch (error) {
        if (!isAbort(error)) onFailure(error);
        return;
      }
      if (this.#timer) this.#timer = setTimeout(poll, FOLLOW_MS);
    };
    this.#timer = setTimeout(poll, 0);
  }

  stop() {
    clearTimeout(this.#timer);
    this.#timer = 0;
  }

  close() {
    this.stop();
    this.#controller.abort();
    this.#list.close();
    this.earlier.close();
    this.later.close();
  }

  async #openAround(itemId) {
    const [item, before, after] = await Promise.all([
      get(conversationPath(this.conversationId, "items", itemId), {}, this.#controller.signal),
      this.#read({ order: "desc", after: itemId, limit: CONTEXT_ITEMS }),
      this.#read({ order: "asc", after: itemId }),
    ]);
    this.#add([...before.data.reverse(), item, ...after.data], false);
    this.first = before.last_id || itemId;
    this.last = after.last_id || itemId;
    this.earlier.set(before.has_more);
    this.later.set(after.has_more);
  }

  #read(query) {
    const path = conversationPath(this.conversationId, "items");
    return get(path, { limit: PAGE_ITEMS, ...query }, this.#controller.signal);
  }

  async #loadEarlier() {
    const page = await this.#read({ order: "desc", after: this.first });
    this.first = page.last_id || this.first;
    this.#add(page.data.reverse(), true);
    return page.has_more;
  }

  async #loadLater() {
    const page = await this.#read({ order: "asc", after: this.last });
    this.last = page.last_id || this.last;
    this.#add(page.data, false);
    return page.has_more;
  }

  async #loadAppended() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    const isAtEnd = this.isNewestFirst ? scrollTop < 80 : scrollHeight - scrollTop - clientHeight < 80;
    let items = -this.items.length;
    while (await this.#loadLater());
    items += this.items.length;
    if (!items) return;
    announce(`${count(items, "new item")}.`);
    if (isAtEnd) this.scroller.scrollTop = this.isNewestFirst ? 0 : this.scroller.scrollHeight;
  }

  get items() {
    return this.#blocks.flatMap((block) => block.items);
  }

  /** Add items, in their order, before or after all others. */
  #add(items, isEarlier) {
    if (items.length) this.#list.element.querySelector(":scope > .quiet")?.remove();
    const blocks = [];
    for (let start = 0; start < items.length; start += BLOCK_ITEMS) {
      blocks.push(new Block(items.slice(start, start + BLOCK_ITEMS)));
    }
    this.#blocks = isEarlier ? [...blocks, ...this.#blocks] : [...this.#blocks, ...blocks];
    this.#pair();
    for (const block of isEarlier ? blocks.toReversed() : blocks) {
      this.#list.add(block, isEarlier !== this.isNewestFirst);
    }
    this.#list.refresh();
  }

  /** Find the call of each output: the latest before it that has the same id. */
  #pair() {
    const calls = new Map();
    this.#outputs.clear();
    this.#homes.clear();
    for (const item of this.items) {
      const key = pairingKey(item);
      if (!key) continue;
      if (CALLS.has(item.type)) {
        calls.set(key, item);
        this.#outputs.set(item.id, []);
      } else if (calls.has(key)) {
        this.#outputs.get(calls.get(key).id).push(item);
        this.#homes.set(item.id, calls.get(key));
      }
    }
  }

  #visibleItems(block) {
    return block.items.filter((item) => !this.#homes.has(item.id));
  }

  #description(block) {
    const outputs = (item) => (this.#outputs.get(item.id) ?? []).map(({ id }) => id);
    return JSON.stringify(this.#visibleItems(block).map((item) => [item.id, outputs(item)]));
  }

  #articles(block) {
    const items = this.#visibleItems(block);
    if (this.isNewestFirst) items.reverse();
    return items.map((item) => itemArticle(item, this.#outputs.get(item.id) ?? [], this.conversationId));
  }
}

/** The earlier or the later end of what is loaded: a button, pressed by itself when it comes near. */
class Edge {
  #isLoading = false;
  #hasMore = false;
  #observer;

  constructor(load, keepPlace) {
    this.load = load;
    this.keepPlace = keepPlace;
    this.element = element("div", { class: "edge" });
  }

  watch(scroller) {
    const onMove = ([entry]) => entry.isIntersecting && this.#hasMore && this.#loadMore();
    this.#observer = new IntersectionObserver(onMove, { root: scroller, rootMargin: NEAR_SCREEN });
    this.#observer.observe(this.element);
  }

  set(hasMore) {
    this.#hasMore = hasMore;
    this.#show(...(hasMore ? [button("Show more items", () => this.#loadMore())] : []));
    // An observer reports only changes: look again whether the end is still near.
    this.#observer?.unobserve(this.element);
    this.#observer?.observe(this.element);
  }

  close() {
    this.#observer?.disconnect();
  }

  #show(...children) {
    this.keepPlace(() => this.element.replaceChildren(...children));
  }

  async #loadMore() {
    if (this.#isLoading) return;
    this.#isLoading = true;
    this.#show(note("Loading …"));
    try {
      const onSlow = () => this.#show(note("Loading takes longer than usual …"));
      this.set(await whileWaiting(this.load(), onSlow));
    } catch (error) {
      this.#hasMore = false;
      if (!isAbort(error)) this.#show(failureNotice(error, () => this.#loadMore()));
    } finally {
      this.#isLoading = false;
    }
  }
}

const STATUSES = { in_progress: "in progress", incomplete: "incomplete", failed: "failed" };

/** Return the article of an item, and of the outputs that belong to it. */
function itemArticle(item, outputs, conversationId) {
  const { title, name, body } = itemView(item, conversationId);
  const status = lookUp(STATUSES, item.status);
  const kind = item.type === "message" ? item.role : item.type;
  return element(
    "article", { class: `item is-${cssName(kind)}`, "data-id": item.id, tabindex: -1, "aria-label": [title, name].filter(Boolean).join(" ") },
    element(
      "header", {}, element("h2", {}, visible(title)), name && element("code", { class: "name" }, inline(name)),
      status && element("span", { class: "status" }, status),
    ),
    element("div", { class: "body" }, flat(body)),
    rawItem(item, conversationId),
    outputs.map((found) => element(
      "section", { class: "output", "data-id": found.id, tabindex: -1 },
      found.type === "mcp_approval_response" && element("strong", {}, itemView(found).title),
      flat(itemView(found, conversationId).body), rawItem(found, conversationId),
    )),
  );
}

function flat(body) {
  return [body].flat(3).filter((child) => child != null && child !== false && child !== "");
}

function cssName(kind) {
  return /^[a-z_]+$/.test(kind) ? kind.replaceAll("_", "-") : "unknown";
}

/** Return the id of an item, unfolded to its JSON. */
function rawItem(item, conversationId) {
  const link = `${location.href.replace(/#.*/, "")}#/${conversationId}/${item.id}`;
  return folded(element("code", {}, item.id), () => [
    element(
      "p", { class: "tools-row" }, button("Copy JSON", (event) => copy(JSON.stringify(item, null, 2), event.target)),
      button("Copy link", (event) => copy(link, event.target)), element("a", { href: link }, "Link"),
    ),
    codeBlock(jsonText(item)),
  ], { class: "raw" });
}
