"use strict";

// Read the API. Every request of the console is a GET of this file.

const PREFIX = location.href.replace(/\/console\/?([?#].*)?$/, "/api/v1/llm");
const TIMEOUT_MS = 30_000;
const SLOW_MS = 4_000;
const PAGE_ITEMS = 100;
const PAGE_CONVERSATIONS = 50;
const KEY_PATTERN = /^[!-~]{1,256}$/;
const END_USER_PATTERN = /^[ -~]{1,256}$/;

/** Credentials of the reader. The key is stored only in memory, unless the reader chooses to keep it in the tab. */
const session = { key: "", endUser: "" };

/** A request that failed, with a message for the reader. `status` is 0 without a response. */
class RequestError extends Error {
  constructor(message, status, code) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** Return the JSON of a GET request; `signal` aborts it, and then an AbortError is thrown. */
async function get(path, query = {}, signal = new AbortController().signal) {
  const url = new URL(PREFIX + path);
  for (const [name, value] of Object.entries(query)) if (value) url.searchParams.set(name, value);
  const headers = { Authorization: `Bearer ${session.key}` };
  if (session.endUser) headers["X-On-Behalf-Of"] = session.endUser;
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  let response, body;
  try {
    response = await fetch(url, {
      headers,
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      signal: AbortSignal.any([signal, timeout]),
    });
    body = await response.json();
  } catch (error) {
    if (signal.aborted) throw new DOMException("The request was aborted.", "AbortError");
    if (timeout.aborted) throw new RequestError("The API did not respond within 30 seconds.", 0);
    if (response) throw new RequestError(`The API sent no JSON (status ${response.status}).`, 0);
    throw new RequestError("The API could not be reached. Check the network connection.", 0);
  }
  if (response.ok) return body;
  const { message, code } = body.error ?? {};
  if (response.status === 401) {
    onKeyRejected();
    throw new RequestError("This API key is not valid. It is unknown, expired or revoked.", 401, code);
  }
  throw new RequestError(message ?? `The API responded with status ${response.status}.`, response.status, code);
}

/** Return whether an error only says that the reader went elsewhere. */
function isAbort(error) {
  return error.name === "AbortError";
}

/** Call `onSlow` when `promise` takes longer than a few seconds, and return what it resolves to. */
async function whileWaiting(promise, onSlow) {
  const timer = setTimeout(onSlow, SLOW_MS);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
  }
}

function conversationPath(...parts) {
  return `/conversations/${parts.map(encodeURIComponent).join("/")}`;
}

/** Yield the pages of all items, oldest first. */
async function* allItems(conversationId, signal) {
  for (let after = "", more = true; more;) {
    const query = { order: "asc", limit: PAGE_ITEMS, after };
    const page = await get(conversationPath(conversationId, "items"), query, signal);
    yield page.data;
    after = page.last_id;
    more = page.has_more;
  }
}
