"use strict";

// Show text, markdown, JSON, code, images and files of items, whatever is in them.

const LONG_TEXT = 20_000;
const FOLD_LINES = 16;
const SHORT_JSON = 90;
/** Characters that reorder the text around them, so that it reads as something else. */
const BIDI_CONTROLS = /[\u202A-\u202E\u2066-\u2069]/g;
const MARKUP = {
  ALLOWED_TAGS: [
    "a", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "img",
    "li", "ol", "p", "pre", "s", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
  ],
  ALLOWED_ATTR: ["alt", "class", "href", "rel", "src", "start", "target", "title"],
  ALLOW_ARIA_ATTR: false,
  ALLOW_DATA_ATTR: false,
  ALLOWED_URI_REGEXP: /^(?:https?:|mailto:|data:image\/(?:gif|jpeg|png|webp);)/i,
  RETURN_DOM_FRAGMENT: true,
};

const markdown = markdownit({ html: false, linkify: true, breaks: true });
// The policy allows no style attributes, which is how markdown-it aligns the cells of tables.
for (const cell of ["th_open", "td_open"]) {
  markdown.renderer.rules[cell] = (tokens, index, options, _, renderer) => {
    const align = /text-align:(\w+)/.exec(tokens[index].attrGet("style"))?.[1];
    tokens[index].attrs = align ? [["class", `align-${align}`]] : null;
    return renderer.renderToken(tokens, index, options);
  };
}
// A remote image would tell its host who reads: it becomes a link.
markdown.renderer.rules.image = (tokens, index, options, environment, renderer) => {
  const source = tokens[index].attrGet("src");
  const escape = markdown.utils.escapeHtml;
  const alt = renderer.renderInlineAsText(tokens[index].children, options, environment);
  if (source.startsWith("data:")) return `<img src="${escape(source)}" alt="${escape(alt)}">`;
  return `<a href="${escape(source)}">${escape(alt || "Image")} (image at ${escape(hostOf(source))})</a>`;
};
DOMPurify.addHook("afterSanitizeAttributes", (node) => {
  if (node.tagName !== "A") return;
  node.setAttribute("target", "_blank");
  node.setAttribute("rel", "noopener noreferrer");
});

/** Return the text with a visible name in place of each character that reorders text. */
function visible(text) {
  return text.replace(BIDI_CONTROLS, (found) => `[U+${found.charCodeAt(0).toString(16).toUpperCase()}]`);
}

function markdownBlock(text) {
  if (text.length > LONG_TEXT) return textBlock(text);
  const block = element("div", { class: "markdown", dir: "auto" });
  block.append(DOMPurify.sanitize(markdown.render(visible(text)), MARKUP));
  for (const code of block.querySelectorAll("pre")) {
    const frame = element("div", { class: "code-frame" });
    code.tabIndex = 0;
    code.replaceWith(frame);
    frame.append(code, button("Copy", (event) => copy(code.textContent, event.target), { class: "copy-code" }));
  }
  return block;
}

/** Return text as it is, with its line breaks. A button shows the rest of long text. */
function textBlock(text, attributes = { class: "text" }) {
  const block = element("div", { dir: "auto", ...attributes });
  const shown = visible(text.slice(0, LONG_TEXT));
  block.append(shown);
  if (text.length > LONG_TEXT) {
    const rest = button(`Show all ${count(text.length, "character")}`, () => {
      block.replaceChildren(visible(text));
    });
    block.append("… ", rest);
  }
  return block;
}

function codeBlock(text) {
  return textBlock(text, { class: "code", dir: "ltr", tabindex: 0 });
}

/** Return a titled block of code, folded if it is long. */
function codeSection(title, text) {
  const lines = text.split("\n", FOLD_LINES + 1).length;
  const isLong = lines > FOLD_LINES || text.length > 2000;
  return folded(title, () => codeBlock(text), { class: "section", open: !isLong });
}

function jsonText(value) {
  const escaped = (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return JSON.stringify(value, null, 2).replace(BIDI_CONTROLS, escaped);
}

/** Return JSON on one line if it fits there. */
function shortJsonText(value) {
  const text = jsonText(value);
  const line = text.replace(/\n\s*/g, " ");
  return line.length <= SHORT_JSON ? line : text;
}

/** Return a titled block of JSON; a text that is JSON itself is laid out, any other is shown as it is. */
function jsonSection(title, value) {
  if (value == null || value === "") return null;
  if (typeof value !== "string") return codeSection(title, shortJsonText(value));
  try {
    const parsed = JSON.parse(value);
    return codeSection(title, typeof parsed === "object" ? shortJsonText(parsed) : value);
  } catch {
    return codeSection(title, value);
  }
}

/** Return a list of names and values, without those that have no value. */
function facts(values) {
  const known = Object.entries(values).filter(([, value]) => value != null && value !== "" && value !== false);
  if (!known.length) return null;
  return element("dl", { class: "facts" }, known.map(([name, value]) => element(
    "div", {}, element("dt", {}, name), element("dd", {}, typeof value === "object" ? value : inline(value)),
  )));
}

function inline(value) {
  return element("bdi", {}, visible(String(value)));
}

function hostOf(url) {
  try {
    return new URL(url).host;
  } catch {
    return "an unknown host";
  }
}

/** Return a link if the address is one of the web, else its text. */
function webLink(url, label = url) {
  if (!/^https?:\/\//i.test(url)) return inline(label);
  return element("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, inline(label));
}

/** Return an image that is in the item itself, or a link to a remote one: reading loads nothing. */
function picture(url, alt = "Image") {
  if (typeof url !== "string" || !url) return null;
  if (/^data:image\//i.test(url)) {
    if (!isDecodable(url)) return note(`${alt}: the data is damaged.`);
    const frame = button(element("img", { src: url, alt, onerror: () => frame.replaceWith(note(`${alt}: it cannot be shown.`)) }), () => {
      frame.classList.toggle("is-large");
    }, { class: "picture", title: "Enlarge or shrink the image" });
    return frame;
  }
  return element("p", {}, webLink(url, `Open the ${alt.toLowerCase()} at ${hostOf(url)}`));
}

function isDecodable(url) {
  const [, data] = /;base64,(.*)$/is.exec(url) ?? [];
  try {
    return data == null || atob(data).length > 0;
  } catch {
    return false;
  }
}

/** Return a player of base64-encoded sound, and its transcript. */
function sound(data, format, transcript) {
  const type = /^\w+$/.test(format) ? format : "wav";
  const player = element("audio", { controls: true, preload: "none", src: `data:audio/${type};base64,${data}` });
  return [player, transcript && textBlock(transcript)];
}

/** Return what is known of a file, with a link or a download. */
function file(part) {
  const name = part.filename || part.file_id || "File";
  const line = element("p", { class: "file" }, "File: ");
  if (part.file_url) line.append(webLink(part.file_url, part.filename || part.file_url));
  else line.append(inline(name));
  if (part.file_data) line.append(" ", button("Download", () => downloadFile(name, part.file_data)));
  return line;
}

function downloadFile(name, data) {
  const encoded = data.replace(/^data:[^,]*,/, "");
  try {
    const bytes = Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0));
    download(name, "application/octet-stream", [bytes]);
  } catch {
    download(name, "application/octet-stream", [data]);
  }
}
