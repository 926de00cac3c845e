// How long calls take, by model or whatever else.
import { Chart } from "../chart.js";
import { Choice } from "../choice.js";
import { capital, duration, number, roughCount } from "../format.js";
import { html } from "../html.js";
import { Answer } from "../loading.js";
import { place, to } from "../location.js";
import { Sparkline } from "../sparkline.js";
import { filtersOf, GroupName, nameOf, times, useStats, values } from "../stats.js";
import { Table } from "../table.js";

/** @typedef {import("../types.js").Group} Group */
/** @typedef {import("../types.js").Figures} Figures */

const FIGURES = /** @type {Record<string, string>} */ ({
  p50_ms: "Duration, p50", p95_ms: "Duration, p95", first_byte_p50_ms: "First byte, p50", first_byte_p95_ms: "First byte, p95", tokens_per_second: "Tokens per second",
});
const BY = ["model", "deployment", "provider", "route", "tenant"];
const LINES = 6;

export function LatencyPage() {
  const params = place.value.params;
  const figure = /** @type {keyof Figures} */ (FIGURES[params.get("figure") ?? ""] ? params.get("figure") : "p95_ms");
  const by = BY.find((each) => each === params.get("by")) ?? BY[0];
  const answer = useStats(by, { limit: 50 });
  const stats = answer.data;
  /** @type {Group[]} */
  const groups = [...(stats?.groups ?? [])].sort((one, other) => other.total.calls - one.total.calls);
  const format = figure === "tokens_per_second" ? number : duration;
  return html`<div class="heading"><h1>Latency by ${by}</h1>
      <${Choice} label="Group by" name="by" value=${by} choices=${BY.map((each) => [each, each])} />
      <${Choice} label="Chart" name="figure" value=${figure} choices=${Object.entries(FIGURES)} />
    </div>
    <${Answer} answer=${answer} isEmpty=${!groups.length}>
      ${stats && html`<${Chart} label=${`${FIGURES[figure]}, the ${by}s with most calls`} times=${times(stats)} step=${stats.step} format=${format}
        series=${groups.slice(0, LINES).map((group) => ({ name: nameOf(group, by), values: values(stats, group, figure) }))} />
      <${Table} name="Latency" rows=${groups} id=${(/** @type {Group} */ group) => nameOf(group, by)} columns=${[
        { label: capital(by), cell: (/** @type {Group} */ group) => html`<${GroupName} group=${group} by=${by} />`, kind: "wide" },
        { label: "Calls", cell: (/** @type {Group} */ group) => roughCount(group.total.calls), kind: "number" },
        { label: "p50", cell: (/** @type {Group} */ group) => duration(group.total.p50_ms), kind: "number" },
        { label: "p95", cell: (/** @type {Group} */ group) => duration(group.total.p95_ms), kind: "number" },
        { label: "First byte p50", cell: (/** @type {Group} */ group) => duration(group.total.first_byte_p50_ms), kind: "number" },
        { label: "First byte p95", cell: (/** @type {Group} */ group) => duration(group.total.first_byte_p95_ms), kind: "number" },
        { label: "Tokens/s", cell: (/** @type {Group} */ group) => number(group.total.tokens_per_second), kind: "number" },
        { label: "p95 over time", cell: (/** @type {Group} */ group) => html`<${Sparkline} values=${values(stats, group, "p95_ms")} />` },
        { label: "Slowest", cell: (/** @type {Group} */ group) => group.total.p95_ms && html`<a href=${to("calls", { ...filtersOf(group), min_ms: Math.round(group.total.p95_ms) })}>beyond p95</a>` },
      ]} />`}
    </${Answer}>`;
}
