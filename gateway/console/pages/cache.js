// What the cache answered, what that saved, what it holds, and how to make it forget.
import { Chart } from "../chart.js";
import { bytes, count, duration, percent, roughCount, roughUsd, usd } from "../format.js";
import { html } from "../html.js";
import { Entries } from "../kept.js";
import { Answer, useAnswer } from "../loading.js";
import { to } from "../location.js";
import { Meanings } from "../meanings.js";
import { bounds } from "../range.js";
import { meaning } from "../reasons.js";
import { rangeKey, times } from "../stats.js";
import { Table } from "../table.js";

/** @typedef {import("../types.js").CacheFigures} CacheFigures */
/** @typedef {import("../types.js").CachePoint} CachePoint */
/** @typedef {import("../types.js").CacheRoute} CacheRoute */
/** @typedef {import("../types.js").CacheSummary} CacheSummary */

const KINDS = ["exact", "semantic", "joined", "replay"];
const LINES = 6;
const SWITCHED_ON = `cache:
  default:
    exact: {ttl: 1h}`;

export function CachePage() {
  const answer = useAnswer("cache", bounds, [rangeKey()]);
  /** @type {CacheSummary | null} */
  const cache = answer.data;
  return html`<h1>Cache</h1>
    <${Answer} answer=${answer}>${cache && html`
      <${Tiles} cache=${cache} />
      ${isUnused(cache) ? html`<${HowTo} />` : html`<${OverTime} cache=${cache} /><${Routes} routes=${cache.routes} />`}
      ${!cache.is_complete && html`<p class="quiet">There were more calls than can be counted at once: these are the latest ${count(cache.total.calls)}.</p>`}`}
    </${Answer}>
    <${Meanings} />
    <${Entries} />
    ${cache?.orders && html`<${Orders} orders=${cache.orders} />`}`;
}

/** @param {{cache: CacheSummary}} props */
function Tiles({ cache: { size, total } }) {
  const found = hits(total);
  return html`<dl class="projection">
    <div><dt>Answered from the cache</dt><dd>${percent(found, lookedUp(total))}</dd><dd class="note">${roughCount(found)} of ${roughCount(lookedUp(total))} that were looked up</dd></div>
    <div><dt>Money saved</dt><dd title=${usd(total.saved_nano_usd)}>${roughUsd(total.saved_nano_usd)}</dd><dd class="note">what the hits would have cost</dd></div>
    <div><dt>Time saved</dt><dd>${duration(total.saved_ms)}</dd><dd class="note">that clients did not wait</dd></div>
    <div><dt>Kept now</dt><dd>${size ? `${roughCount(size.entries)} answers` : "–"}</dd><dd class="note">${size ? `${bytes(size.bytes)}, ${roughCount(size.dropped)} gave way to newer ones` : "the store is away"}</dd></div>
  </dl>`;
}

function HowTo() {
  return html`<section><h2>Nothing was looked up in this time range</h2>
    <p>Nothing is cached unless the policy says so. This keeps the complete answers of every route for an hour, for the team that asked; the name of a route in place of <code>default</code> is for that route alone:</p>
    <pre tabindex="0" aria-label="A policy that switches the cache on">${SWITCHED_ON}</pre>
    <p class="quiet">The header <code>x-llmgw-cache</code> of each answer says what the cache did.</p></section>`;
}

/** @param {{cache: CacheSummary}} props */
function OverTime({ cache }) {
  const all = times(cache);
  const over = (/** @type {CachePoint[]} */ points, /** @type {(point: CachePoint) => number | null} */ figure, /** @type {number | null} */ none) => {
    const found = new Map(points.map((point) => [point.at, figure(point)]));
    return all.map((at) => found.get(at) ?? none);
  };
  const answered = [...KINDS.map((kind) => ({ name: kind, values: over(cache.points, (point) => point.hits[kind] ?? 0, 0) })), { name: "missed", values: over(cache.points, (point) => sum(point.misses), 0) }];
  const rates = cache.routes.filter(lookedUp).slice(0, LINES).map((route) => ({
    name: route.route ?? "(no route)",
    values: over(route.points, (point) => (lookedUp(point) ? (100 * hits(point)) / lookedUp(point) : null), null),
  }));
  const saved = [{ name: "saved", values: over(cache.points, (point) => Number(point.saved_nano_usd), 0) }];
  return html`<${Chart} bars label="Calls that were looked up, by what was found" times=${all} step=${cache.step} format=${roughCount} series=${answered} />
    <div class="columns">
      <${Chart} label="Hits by route, in percent" times=${all} step=${cache.step} format=${(/** @type {number} */ value) => `${roughCount(value)} %`} series=${rates} />
      <${Chart} bars label="Money saved" times=${all} step=${cache.step} format=${(/** @type {number} */ value) => roughUsd(value)} series=${saved} />
    </div>`;
}

/** @param {{routes: CacheRoute[]}} props */
function Routes({ routes }) {
  return html`<section><h2>Routes</h2><${Table} name="Routes" rows=${routes} id=${(/** @type {CacheRoute} */ each) => each.route ?? ""} columns=${[
    { label: "Route", cell: (/** @type {CacheRoute} */ each) => (each.route ? html`<a class="one-line" title=${each.route} href=${to("calls", { route: each.route })}>${each.route}</a>` : "(no route)"), kind: "wide" },
    { label: "Calls", cell: (/** @type {CacheRoute} */ each) => roughCount(each.calls), kind: "number" },
    { label: "Hits", cell: (/** @type {CacheRoute} */ each) => percent(hits(each), lookedUp(each)), kind: "number" },
    ...KINDS.map((kind) => ({ label: kind, cell: (/** @type {CacheRoute} */ each) => roughCount(each.hits[kind] ?? 0), kind: "number" })),
    { label: "Missed", cell: (/** @type {CacheRoute} */ each) => html`<${Reasons} reasons=${each.misses} />`, kind: "wide" },
    { label: "Not looked up", cell: (/** @type {CacheRoute} */ each) => html`<${Reasons} reasons=${each.bypasses} />`, kind: "wide" },
    { label: "Saved", cell: (/** @type {CacheRoute} */ each) => roughUsd(each.saved_nano_usd), title: (/** @type {CacheRoute} */ each) => usd(each.saved_nano_usd), kind: "number" },
    { label: "Time", cell: (/** @type {CacheRoute} */ each) => duration(each.saved_ms), kind: "number" },
  ]} /></section>`;
}

/** @param {{reasons: Record<string, number>}} props */
function Reasons({ reasons }) {
  const found = Object.entries(reasons).sort(([, one], [, other]) => other - one);
  return found.length ? html`${found.map(([reason, times]) => html`<span key=${reason} class="tag" title=${meaning(reason)}>${reason.replaceAll("_", " ")} × ${roughCount(times)}</span>`)}` : "–";
}

/** @param {{orders: Record<string, string | number>[]}} props */
function Orders({ orders }) {
  const marks = (/** @type {Record<string, string | number>} */ order) => Object.entries(order).filter(([name]) => name !== "number").map(([name, value]) => `${name.replaceAll("_", " ")} ${value}`);
  return html`<section><h2>Orders to forget <small>the last ones; each forgets what was made before it</small></h2>
    <${Table} name="Orders to forget" rows=${orders} id=${(/** @type {Record<string, string | number>} */ each) => each.number} columns=${[
      { label: "Number", cell: (/** @type {Record<string, string | number>} */ each) => String(each.number) },
      { label: "Forgets", cell: (/** @type {Record<string, string | number>} */ each) => marks(each).join(", ") || "everything", kind: "wide" },
    ]} /></section>`;
}

/** @param {CacheSummary} cache */
const isUnused = (cache) => !lookedUp(cache.total);

/** @param {Record<string, number>} counts */
const sum = (counts) => Object.values(counts).reduce((all, each) => all + each, 0);

/** @param {CacheFigures} figures */
const hits = (figures) => sum(figures.hits);

/** @param {CacheFigures} figures */
const lookedUp = (figures) => hits(figures) + sum(figures.misses);
