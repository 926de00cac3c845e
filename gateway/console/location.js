// Where the reader is: #/page/rest?name=value. Everything that a page shows follows from it, so that the address can be shared.
import { computed, signal } from "./vendor/signals.js";

const hash = signal(window.location.hash);
window.addEventListener("hashchange", () => {
  hash.value = window.location.hash;
});

/** The page's name, what comes after it, and the parameters. */
export const place = computed(() => {
  const [path, query = ""] = split(hash.value.replace(/^#\/?/, ""), "?");
  const [page, rest = ""] = split(path, "/");
  return { page: page || "overview", rest: decode(rest), params: new URLSearchParams(query) };
});

const LASTING = ["range", "since", "until"];

/** The address of a page. The time range comes along unless `params` has one; empty values are left out.
 * @param {string} page @param {Record<string, string | number | null | undefined>} [params] */
export function to(page, params = {}) {
  const query = new URLSearchParams();
  const given = LASTING.some((name) => params[name] != null);
  for (const name of LASTING) {
    const value = place.value.params.get(name);
    if (!given && value) query.set(name, value);
  }
  for (const [name, value] of Object.entries(params)) {
    if (value != null && value !== "") query.set(name, String(value));
  }
  const text = query.toString();
  return `#/${page}${text ? `?${text}` : ""}`;
}

/** The address of one call. @param {unknown} id */
export const toCall = (id) => to(`call/${encodeURIComponent(String(id))}`);

/** The address of this page with some parameters changed. @param {Record<string, string | number | null | undefined>} changes */
export function changed(changes) {
  const params = { ...Object.fromEntries(place.value.params), ...changes };
  const path = place.value.rest ? `${place.value.page}/${encodeURIComponent(place.value.rest)}` : place.value.page;
  return to(path, params);
}

/** Goes to an address; `quietly` without a step in the history. @param {string} address */
export function go(address, { quietly = false } = {}) {
  if (quietly) {
    window.history.replaceState(null, "", address);
    hash.value = address;
  } else {
    window.location.hash = address;
  }
}

/** @param {string} text @param {string} mark */
function split(text, mark) {
  const at = text.indexOf(mark);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

/** @param {string} text */
function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
