// The spans of a call on one scale of time, as a tree; choosing one shows its attributes.
import { useState } from "./vendor/hooks.js";
import { duration } from "./format.js";
import { Fields } from "./fields.js";
import { html } from "./html.js";

/** @typedef {import("./types.js").Span} Span */

/** @param {{spans: Span[], total: number}} props `total`: milliseconds */
export function Waterfall({ spans, total }) {
  const rows = tree(spans);
  const [chosen, choose] = useState(rows[0]?.span.span_id);
  const span = spans.find((each) => each.span_id === chosen) ?? null;
  const end = Math.max(total || 0, ...spans.map((each) => each.started_ms + each.duration_ms), 0.001);
  return html`<div class="waterfall">
    <ol class="spans" aria-label="Spans">${rows.map(({ span: each, depth }) => html`<li key=${each.span_id}>
      <button type="button" class="span ${each.error || each.status === "ERROR" ? "bad" : ""} ${kindOf(each)}" aria-pressed=${String(each.span_id === chosen)} onClick=${() => choose(each.span_id)}>
        <span class="name" style=${{ paddingInlineStart: `${Math.min(depth, 6) * 14}px` }} title=${each.name}>${each.name}</span>
        <span class="track"><span class="extent" style=${{ left: `${share(each.started_ms, end)}%`, width: `${share(each.duration_ms, end)}%` }}></span></span>
        <span class="length">${duration(each.duration_ms)}</span>
      </button></li>`)}
    </ol>
    ${span && html`<div class="attributes" role="region" aria-label="The chosen span" aria-live="polite">
      <h3>${span.name}</h3>
      <${Fields} fields=${{ starts: `at ${duration(span.started_ms)}`, takes: duration(span.duration_ms), kind: span.kind, status: span.status, error: span.error, ...span.attributes }} />
    </div>`}
  </div>`;
}

/** Parents before children, in the order of time. @param {Span[]} spans */
function tree(spans) {
  const known = new Set(spans.map((span) => span.span_id));
  /** @type {{span: Span, depth: number}[]} */
  const rows = [];
  const seen = new Set();
  const add = (/** @type {Span} */ span, /** @type {number} */ depth) => {
    if (seen.has(span.span_id)) return;
    seen.add(span.span_id);
    rows.push({ span, depth });
    for (const child of inTime(spans.filter((each) => each.parent_span_id === span.span_id))) add(child, depth + 1);
  };
  for (const span of inTime(spans.filter((each) => !each.parent_span_id || !known.has(each.parent_span_id)))) add(span, 0);
  for (const span of spans) add(span, 0);
  return rows;
}

/** @param {Span[]} spans */
const inTime = (spans) => [...spans].sort((one, other) => one.started_ms - other.started_ms);

/** @param {number} part @param {number} all */
const share = (part, all) => Math.max(0, Math.min(100, (100 * part) / all)).toFixed(3);

/** @param {Span} span */
const kindOf = (span) => ({ SERVER: "server", CLIENT: "client" })[String(span.kind).toUpperCase()] ?? "";
