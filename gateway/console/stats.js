// Figures over time, by whatever they are grouped by.
import { html } from "./html.js";
import { useAnswer } from "./loading.js";
import { place, to } from "./location.js";
import { bounds } from "./range.js";

/** @typedef {import("./types.js").Stats} Stats */
/** @typedef {import("./types.js").Group} Group */
/** @typedef {import("./types.js").Figures} Figures */

/** The parameters that make up the time range, as a key: a change asks anew. */
export const rangeKey = () => ["range", "since", "until"].map((name) => place.value.params.get(name));

/** Figures of the time range. `by` none: one group. @param {string} by @param {import("./api.js").Params} [filters] */
export function useStats(by, filters = {}) {
  return useAnswer("stats", () => ({ ...bounds(), by, ...filters }), [by, filters, rangeKey()]);
}

/** The times of all points, gaps included. @param {{since: number, until: number, step: number}} stats @returns {number[]} */
export function times(stats) {
  const start = Math.floor(stats.since / stats.step) * stats.step;
  const length = Math.min(5000, Math.max(1, Math.ceil((stats.until - start) / stats.step)));
  return Array.from({ length }, (_, index) => start + index * stats.step);
}

/** One figure of a group at each of the times. Where there was no call, counts are 0, and times and speeds null.
 * @param {Stats} stats @param {Group} group @param {keyof Figures} figure @returns {(number | null)[]} */
export function values(stats, group, figure) {
  const all = times(stats);
  /** @type {(number | null)[]} */
  const found = all.map(() => (/_ms$|per_second$/.test(figure) ? null : 0));
  for (const point of group.points) {
    const index = Math.floor((point.at - all[0]) / stats.step);
    const value = point[figure];
    if (index >= 0 && index < found.length && value != null) found[index] = Number(value);
  }
  return found;
}

/** @param {Group} group @param {string} by */
export const nameOf = (group, by) => by.split(",").map((each) => group.by[each] ?? "(none)").join(" · ");

/** The filters that show the calls of a group; null where a name is missing, or stands for others, and cannot be filtered by.
 * @param {Group} group @returns {Record<string, string> | null} */
export function filtersOf(group) {
  /** @type {Record<string, string>} */
  const filters = {};
  for (const [name, value] of Object.entries(group.by)) {
    if (value == null || value === "_other") return null;
    filters[name] = value;
  }
  return filters;
}

/** The name of a group, as a link to its calls where they can be filtered by it. @param {{group: Group, by: string}} props */
export function GroupName({ group, by }) {
  const filters = filtersOf(group);
  const name = nameOf(group, by);
  return filters ? html`<a class="one-line" title=${name} href=${to("calls", filters)}>${name}</a>` : name;
}

/** @type {Figures} */
export const NOTHING = {
  calls: 0, errors: 0, refused: 0, cache_hits: 0, input_tokens: 0, output_tokens: 0, cached_tokens: 0, cost_nano_usd: 0,
  saved_nano_usd: 0, p50_ms: null, p95_ms: null, first_byte_p50_ms: null, first_byte_p95_ms: null, tokens_per_second: null,
};
