// The admin API, asked with the admin key.
import { key, leave } from "./session.js";

const PREFIX = new URL("/admin/v1/", window.location.href);

/** What the API refused, or that it could not be reached (then `status` is 0). */
export class Refused extends Error {
  /** @param {number} status @param {string} code @param {string} message */
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** @typedef {Record<string, string | number | boolean | null | undefined>} Params */

/** @param {string} path @param {Params} [params] */
export function address(path, params = {}) {
  const url = new URL(PREFIX.href + path);
  for (const [name, value] of Object.entries(params)) {
    if (value != null && value !== "") url.searchParams.set(name, String(value));
  }
  return url;
}

/** Raises Refused. @param {string} path @param {Params} [params] @param {AbortSignal} [signal] @returns {Promise<any>} */
export function get(path, params = {}, signal = undefined) {
  return ask(address(path, params), { signal });
}

/** Asks for a change; with `etag` only if nobody has changed it since. Raises Refused.
 * @param {string} path @param {Record<string, unknown>} body @param {string} [etag] @returns {Promise<any>} */
export function post(path, body, etag = undefined) {
  return ask(address(path), { method: "POST", body: JSON.stringify(body), headers: etag ? { "if-match": `"${etag}"` } : {} });
}

/** @param {URL} url @param {RequestInit} more */
async function ask(url, more) {
  const shown = key.value;
  const reply = await send(url, shown, more);
  const text = await reply.text();
  if (reply.ok) return parse(text);
  const refused = refusal(reply, text);
  if (refused.status === 401 && key.value === shown) leave("The admin key is not accepted any more.");
  throw refused;
}

/** Whether the key opens the API. Raises Refused where it is not the key that is wrong. @param {string} shown */
export async function isRight(shown) {
  const reply = await send(address("policies"), shown);
  if (reply.ok) return true;
  const refused = refusal(reply, await reply.text());
  if ([401, 404].includes(refused.status)) return false;
  throw refused;
}

/** Server-sent events, one at a time, until the stream or the signal ends; an `open` of our own goes first. Raises Refused.
 * @param {string} path @param {Params} params @param {AbortSignal} signal @returns {AsyncGenerator<{event: string, data: string}>} */
export async function* events(path, params, signal) {
  const reply = await send(address(path, params), key.value, { signal });
  if (!reply.ok || !reply.body) throw refusal(reply, await reply.text());
  yield { event: "open", data: "" };
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).replace(/\r\n?/g, "\n").split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const found = event(block);
      if (found) yield found;
    }
  }
}

/** JSON in which whole numbers that a number cannot hold are bigints. @param {string} text */
export function parse(text) {
  return JSON.parse(text, /** @type {any} */ ((
    /** @type {string} */ _name, /** @type {unknown} */ value, /** @type {{source?: string} | undefined} */ context,
  ) => {
    const source = context?.source;
    const isInexact = typeof value === "number" && source && !Number.isSafeInteger(value) && /^-?\d+$/.test(source);
    return isInexact ? BigInt(source) : value;
  }));
}

/** @param {URL} url @param {string | null} shown @param {RequestInit} [more] */
async function send(url, shown, more = {}) {
  try {
    return await fetch(url, { ...more, headers: { ...more.headers, authorization: `Bearer ${bytes(shown ?? "")}` }, cache: "no-store" });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Refused(0, "unreachable", "The admin API cannot be reached. Is the gateway running?");
  }
}

/** Text as a header may carry it: its UTF-8, byte by byte. @param {string} text */
const bytes = (text) => String.fromCharCode(...new TextEncoder().encode(text));

/** @param {Response} reply @param {string} text */
function refusal(reply, text) {
  try {
    const { code, message } = JSON.parse(text).error;
    return new Refused(reply.status, String(code), String(message));
  } catch {
    return new Refused(reply.status, "unknown", `The admin API answered ${reply.status}.`);
  }
}

/** @param {string} block */
function event(block) {
  let name = "message";
  /** @type {string[]} */
  const data = [];
  for (const line of block.split("\n")) {
    if (line.startsWith("event:")) name = line.slice(6).trim();
    if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
  }
  return data.length ? { event: name, data: data.join("\n") } : null;
}
