// The time range of all pages: the last so many minutes, or from here till there.
import { computed, signal } from "./vendor/signals.js";
import { place } from "./location.js";

export const RANGES = [
  { name: "15m", label: "15 min", seconds: 900 },
  { name: "1h", label: "1 h", seconds: 3600 },
  { name: "24h", label: "24 h", seconds: 86_400 },
  { name: "7d", label: "7 d", seconds: 604_800 },
];
const USUAL = RANGES[1];
const REFRESH_MS = 30_000;

/** Grows whenever what is shown should be asked for again. */
export const tick = signal(0);

/** The range as the address has it; for one that was given, `since` and `until` in UTC seconds. */
export const range = computed(() => {
  const params = place.value.params;
  const since = seconds(params.get("since"));
  const until = seconds(params.get("until"));
  if (since != null || until != null) return { name: "custom", since, until, seconds: null };
  const known = RANGES.find((each) => each.name === params.get("range")) ?? USUAL;
  return { name: known.name, since: null, until: null, seconds: known.seconds };
});

/** What to ask the API for, now. @returns {{since: number, until: number | null}} */
export function bounds() {
  const { since, until, seconds: length } = range.value;
  const now = Math.floor(Date.now() / 1000);
  if (length != null) return { since: now - length, until: null };
  return { since: since ?? (until ?? now) - 3600, until };
}

export const refresh = () => {
  tick.value += 1;
};

setInterval(() => {
  if (document.visibilityState === "visible" && range.value.name !== "custom" && !place.value.params.get("before")) refresh();
}, REFRESH_MS);

/** @param {string | null} text UTC seconds or ISO 8601 */
function seconds(text) {
  if (!text) return null;
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Date.parse(text) / 1000;
  return Number.isFinite(value) ? value : null;
}
