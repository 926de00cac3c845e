// What was spent, on what, and what the month will come to.
import { Chart } from "../chart.js";
import { Choice } from "../choice.js";
import { capital, percent, roughCount, roughUsd, usd } from "../format.js";
import { html } from "../html.js";
import { Answer, useAnswer } from "../loading.js";
import { place } from "../location.js";
import { Sparkline } from "../sparkline.js";
import { GroupName, nameOf, NOTHING, times, useStats, values } from "../stats.js";
import { Table } from "../table.js";

/** @typedef {import("../types.js").Group} Group */

const BY = [["model", "model"], ["tenant", "tenant"], ["key_id", "key"], ["tag", "tag"], ["team", "team"], ["org", "organisation"], ["provider", "provider"], ["deployment", "deployment"], ["route", "route"]];
const DAY = 86_400;
const DAYS = 7;
const BARS = 7;

export function SpendPage() {
  const [by, called] = BY.find(([name]) => name === place.value.params.get("by")) ?? BY[0];
  const answer = useStats(by, { limit: 100 });
  const whole = useStats("");
  const stats = answer.data;
  /** @type {Group[]} */
  const groups = stats?.groups ?? [];
  const all = Number(whole.data?.groups[0]?.total.cost_nano_usd ?? 0);
  const perCall = (/** @type {Group} */ group) => (group.total.calls ? Number(group.total.cost_nano_usd) / group.total.calls : null);
  return html`<div class="heading"><h1>Spend by ${called}</h1>
      <${Choice} label="Group by" name="by" value=${by} choices=${BY} /></div>
    <${Projection} />
    <${Answer} answer=${answer} isEmpty=${!groups.length}>
      ${stats && html`<${Chart} bars label=${`Spend, the ${BARS} dearest`} times=${times(stats)} step=${stats.step} format=${(/** @type {number} */ value) => roughUsd(value)}
        series=${groups.slice(0, BARS).map((group) => ({ name: nameOf(group, by), values: values(stats, group, "cost_nano_usd") }))} />
      ${by === "tag" && html`<p class="quiet">A call with several tags counts for each of them.</p>`}
      <${Table} name="Spend" rows=${groups} id=${(/** @type {Group} */ group) => nameOf(group, by)} columns=${[
        { label: capital(called), cell: (/** @type {Group} */ group) => html`<${GroupName} group=${group} by=${by} />`, kind: "wide" },
        { label: "Spend", cell: (/** @type {Group} */ group) => usd(group.total.cost_nano_usd), kind: "number" },
        { label: "Share", cell: (/** @type {Group} */ group) => percent(Number(group.total.cost_nano_usd), all), kind: "number" },
        { label: "Calls", cell: (/** @type {Group} */ group) => roughCount(group.total.calls), kind: "number" },
        { label: "Per call", cell: (/** @type {Group} */ group) => roughUsd(perCall(group)), kind: "number" },
        { label: "Tokens in", cell: (/** @type {Group} */ group) => roughCount(group.total.input_tokens), kind: "number" },
        { label: "Cached", cell: (/** @type {Group} */ group) => percent(group.total.cached_tokens, group.total.input_tokens), kind: "number" },
        { label: "Tokens out", cell: (/** @type {Group} */ group) => roughCount(group.total.output_tokens), kind: "number" },
        { label: "Saved", cell: (/** @type {Group} */ group) => roughUsd(group.total.saved_nano_usd), kind: "number" },
        { label: "Over time", cell: (/** @type {Group} */ group) => html`<${Sparkline} values=${values(stats, group, "cost_nano_usd")} />` },
      ]} />`}
    </${Answer}>`;
}

/** This month so far, and with the days that are left at the rate of the last seven. */
function Projection() {
  const now = new Date();
  const start = Date.UTC(now.getUTCFullYear(), now.getUTCMonth()) / 1000;
  const end = Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1) / 1000;
  const month = useAnswer("stats", () => ({ since: start, step: DAY }), [start]);
  const week = useAnswer("stats", () => ({ since: Math.floor(Date.now() / 1000) - DAYS * DAY, step: DAY }), []);
  const spent = month.data?.groups[0]?.total.cost_nano_usd ?? NOTHING.cost_nano_usd;
  const rate = Number(week.data?.groups[0]?.total.cost_nano_usd ?? 0) / DAYS;
  const left = (end - now.getTime() / 1000) / DAY;
  return html`<${Answer} answer=${month.data ? week : month}><dl class="projection">
    <div><dt>This month (UTC) so far</dt><dd title=${usd(spent)}>${roughUsd(spent)}</dd></div>
    <div><dt>A day, in the last ${DAYS} days</dt><dd>${roughUsd(rate)}</dd></div>
    <div><dt>By the end of the month, at this rate</dt><dd class="projected">${roughUsd(Number(spent) + rate * left)}</dd></div>
  </dl></${Answer}>`;
}
