"use strict";

// Keep only the elements near the screen: a list of 10,000 items has some hundred of them.

const NEAR_SCREEN = "1200px 0px";
const ESTIMATED_HEIGHT = 120;

/** Some consecutive items, and the element that holds their articles or a space of the same height. */
class Block {
  constructor(items) {
    this.items = items;
    this.shown = "";
    this.isBuilt = false;
    this.element = element("div", { class: "block" });
    this.element.style.height = `${items.length * ESTIMATED_HEIGHT}px`;
  }
}

class WindowedList {
  #blocks = new Map();
  #observer;

  /** `makeArticles` returns the articles of a block, `describe` a text that changes when they do. */
  constructor(scroller, makeArticles, describe) {
    this.makeArticles = makeArticles;
    this.describe = describe;
    this.scroller = scroller;
    this.element = element("div", { class: "items" });
    this.#observer = new IntersectionObserver(
      (entries) => entries.forEach((entry) => this.#onMove(this.#blocks.get(entry.target), entry)),
      { root: scroller, rootMargin: NEAR_SCREEN },
    );
  }

  /** Add a block above or below all others, and keep what is on the screen where it is. */
  add(block, isAbove) {
    this.#blocks.set(block.element, block);
    this.keepPlace(() => this.element[isAbove ? "prepend" : "append"](block.element));
    this.#observer.observe(block.element);
  }

  /** Make the articles of built blocks again whose description has changed. */
  refresh() {
    this.keepPlace(() => {
      for (const block of this.#blocks.values()) {
        if (block.isBuilt && block.shown !== this.describe(block)) this.build(block);
      }
    });
  }

  build(block) {
    block.isBuilt = true;
    block.shown = this.describe(block);
    block.element.style.height = "";
    block.element.replaceChildren(...this.makeArticles(block));
  }

  close() {
    this.#observer.disconnect();
  }

  /** Make a change, and scroll so that the first article on the screen does not move. */
  keepPlace(change) {
    const top = this.scroller.getBoundingClientRect().top;
    const isOnScreen = (article) => article.getBoundingClientRect().bottom > top;
    const first = [...this.element.querySelectorAll("article")].find(isOnScreen);
    if (!first) return change();
    const before = first.getBoundingClientRect().top;
    change();
    const now = first.isConnected ? first : this.element.querySelector(`[data-id="${CSS.escape(first.dataset.id)}"]`);
    if (now) this.scroller.scrollTop += now.getBoundingClientRect().top - before;
  }

  #onMove(block, entry) {
    if (entry.isIntersecting) {
      if (!block.isBuilt) this.keepPlace(() => this.build(block));
    } else if (block.isBuilt && !isInUse(block.element)) {
      block.element.style.height = `${entry.boundingClientRect.height}px`;
      block.element.replaceChildren();
      block.isBuilt = false;
    }
  }
}

/** Return whether the reader has the focus in it, or has unfolded something. */
function isInUse(block) {
  return block.contains(document.activeElement) || block.querySelector(".raw[open]") !== null;
}
