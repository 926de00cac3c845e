// Numbers, times and money as people read them. What is not known is a dash.

const DASH = "–";
const NANO = 1_000_000_000n;

/** @typedef {number | null | undefined} Maybe */

/** @param {import("./types.js").Money} value @returns {bigint} */
const whole = (value) => BigInt(typeof value === "number" ? Math.round(value) : value ?? 0);

/** @param {string} digits */
const grouped = (digits) => digits.replace(/\B(?=(\d{3})+(?!\d))/g, ",");

/** Every digit of an amount in nano-USD: 7500 is $0.0000075. At least two decimals.
 * @param {import("./types.js").Money} nano */
export function usd(nano) {
  if (nano == null) return DASH;
  const value = whole(nano);
  const size = value < 0n ? -value : value;
  const decimals = (size % NANO).toString().padStart(9, "0").replace(/0{1,7}$/, "");
  return `${value < 0n ? "−" : ""}$${grouped((size / NANO).toString())}.${decimals}`;
}

/** An amount in nano-USD to about three digits, for tiles and axes; `usd` has all of them.
 * @param {import("./types.js").Money} nano */
export function roughUsd(nano) {
  if (nano == null) return DASH;
  const dollars = Number(nano) / 1e9;
  const size = Math.abs(dollars);
  const sign = dollars < 0 ? "−" : "";
  if (size === 0) return "$0";
  if (size >= 1e6) return `${sign}$${(size / 1e6).toFixed(2)}M`;
  if (size >= 1000) return `${sign}$${grouped(Math.round(size).toString())}`;
  if (size >= 1) return `${sign}$${size.toFixed(2)}`;
  return `${sign}$${size.toFixed(Math.min(9, 2 - Math.floor(Math.log10(size)))).replace(/0+$/, "")}`;
}

/** Milliseconds as µs, ms, s or min. @param {Maybe} ms */
export function duration(ms) {
  if (ms == null) return DASH;
  if (ms === 0) return "0 ms";
  if (ms < 1) return `${Math.round(ms * 1000)} µs`;
  if (ms < 10) return `${trimmed(ms, 1)} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 9995) return `${trimmed(ms / 1000, 2)} s`;
  if (ms < 99_950) return `${trimmed(ms / 1000, 1)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** @param {Maybe} value */
export const count = (value) => (value == null ? DASH : grouped(Math.round(value).toString()));

/** 1234567 is 1.23M. @param {Maybe} value */
export function roughCount(value) {
  if (value == null) return DASH;
  for (const [unit, letter] of /** @type {[number, string][]} */ ([[1e9, "B"], [1e6, "M"], [1e4, "k"]])) {
    const size = letter === "k" ? 1e3 : unit;
    if (value >= unit) return `${trimmed(value / size, value / size < 10 ? 2 : value / size < 100 ? 1 : 0)}${letter}`;
  }
  return count(value);
}

/** A number with at most `places` decimals. @param {Maybe} value */
export const number = (value, places = 1) => (value == null ? DASH : trimmed(value, places));

/** @param {Maybe} value */
export function bytes(value) {
  if (value == null) return DASH;
  const [size, unit] = value >= 1e9 ? [1e9, "GB"] : value >= 1e6 ? [1e6, "MB"] : value >= 1e3 ? [1e3, "kB"] : [1, "B"];
  return `${trimmed(value / size, value / size < 10 && size > 1 ? 1 : 0)} ${unit}`;
}

/** `part` of `all` in percent. @param {Maybe} part @param {Maybe} all */
export function percent(part, all) {
  if (part == null || !all) return DASH;
  const share = (100 * part) / all;
  if (share > 0 && share < 0.01) return "< 0.01 %";
  return `${trimmed(share, share < 1 ? 2 : share < 99.95 ? 1 : 0)} %`;
}

/** Local date and time of UTC seconds, to the millisecond. @param {Maybe} at */
export function moment(at) {
  if (at == null) return DASH;
  const time = new Date(at * 1000);
  return `${day(time)} ${clock(time)}.${String(time.getMilliseconds()).padStart(3, "0")}`;
}

/** Local time of UTC seconds, with the date unless it is today. @param {Maybe} at */
export function shortMoment(at) {
  if (at == null) return DASH;
  const time = new Date(at * 1000);
  const today = time.toDateString() === new Date().toDateString();
  return today ? clock(time) : `${day(time).slice(5)} ${clock(time)}`;
}

/** UTC seconds as ISO 8601, for titles and exports. @param {Maybe} at */
export const iso = (at) => (at == null ? "" : new Date(at * 1000).toISOString());

/** How long ago, or in how long: "3 min ago", "in 2 h". @param {Maybe} at @param {number} [now] */
export function ago(at, now = Date.now() / 1000) {
  if (at == null) return DASH;
  const gap = Math.abs(now - at);
  const text = gap < 60 ? `${Math.round(gap)} s` : gap < 5400 ? `${Math.round(gap / 60)} min`
    : gap < 129_600 ? `${Math.round(gap / 3600)} h` : `${Math.round(gap / 86_400)} d`;
  return at > now ? `in ${text}` : `${text} ago`;
}

/** Text, a dash for none, and no longer than is good for a table. @param {unknown} value */
export function brief(value, most = 60) {
  if (value == null || value === "") return DASH;
  const text = String(value);
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

/** @param {string} word */
export const capital = (word) => word.charAt(0).toUpperCase() + word.slice(1);

/** @param {number} value @param {number} places */
function trimmed(value, places) {
  const fixed = value.toFixed(places);
  const [digits, decimals] = (places ? fixed.replace(/\.?0+$/, "") : fixed).split(".");
  return grouped(digits) + (decimals ? `.${decimals}` : "");
}

/** @param {Date} time */
const day = (time) => `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`;
/** @param {Date} time */
const clock = (time) => `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
/** @param {number} value */
const two = (value) => String(value).padStart(2, "0");
