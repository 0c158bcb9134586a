"use strict";

// Make elements. Text only ever becomes text nodes: nothing here takes markup.

/** Return an element. Names of `attributes` that begin with "on" are event listeners. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((child) => child != null && child !== false));
  return made;
}

/** Return a table's own value: a name from an item could be that of any object's property. */
function lookUp(table, name) {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}

function button(label, onclick, attributes = {}) {
  return element("button", { type: "button", onclick, ...attributes }, label);
}

/** Return a `<details>` whose body is made when it is opened for the first time. */
function folded(summary, makeBody, attributes = {}) {
  const made = element("details", attributes, element("summary", {}, summary));
  const fill = () => made.childElementCount === 1 && made.append(...[makeBody()].flat());
  if (made.open) fill();
  else made.addEventListener("toggle", fill, { once: true });
  return made;
}

/** Return a message with a button that tries again. */
function failureNotice(error, retry) {
  const notice = element("div", { class: "failure", role: "alert" }, element("p", {}, error.message));
  if (retry) notice.append(button("Try again", retry));
  return notice;
}

function announce(text) {
  document.getElementById("announcement").textContent = text;
}

/** Copy text, and say so on the button for a moment. */
async function copy(text, control) {
  const label = control.textContent;
  try {
    await navigator.clipboard.writeText(text);
    control.textContent = "Copied";
  } catch {
    control.textContent = "Not allowed";
  }
  announce(control.textContent);
  setTimeout(() => { control.textContent = label; }, 1500);
}

function download(name, type, parts) {
  const url = URL.createObjectURL(new Blob(parts, { type }));
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

function dateText(seconds) {
  const date = new Date(seconds * 1000);
  return date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

function count(number, noun) {
  return `${number.toLocaleString()} ${noun}${number === 1 ? "" : "s"}`;
}
