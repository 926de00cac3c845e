// The first page: how it goes, what is wrong, and the calls worth a look.
import { CallTable } from "../calls.js";
import { duration, number, percent, roughCount, roughUsd, usd } from "../format.js";
import { html } from "../html.js";
import { Answer, useAnswer } from "../loading.js";
import { to } from "../location.js";
import { bounds } from "../range.js";
import { Sparkline } from "../sparkline.js";
import { GroupName, nameOf, NOTHING, rangeKey, useStats, values } from "../stats.js";
import { Table } from "../table.js";
import { Warnings } from "../warnings.js";

/** @typedef {import("../types.js").Stats} Stats */
/** @typedef {import("../types.js").Group} Group */
/** @typedef {import("../types.js").Figures} Figures */

const SHOWN = 6;
const DEAR = 3;

export function OverviewPage() {
  const all = useStats("");
  const figures = all.data?.groups[0]?.total ?? NOTHING;
  const slow = figures.p95_ms ? Math.round(figures.p95_ms) : null;
  const mean = figures.calls ? Number(figures.cost_nano_usd) / figures.calls / 1e9 : 0;
  const dear = mean > 0 ? Number((DEAR * mean).toPrecision(2)) : null;
  return html`<h1>Overview</h1>
    <${Warnings} />
    <${Answer} answer=${all}><${Tiles} stats=${all.data} /></${Answer}>
    <${Worth} title="Latest errors" note="What happened?" filters=${{ status: "5xx" }} columns=${["time", "status", "outcome", "model", "tenant", "error", "duration"]} />
    <div class="columns">
      <${Worth} title="Slow calls" note=${slow ? `Why slow? Longer than the p95 of ${duration(slow)}` : "Why slow?"} filters=${slow ? { min_ms: slow } : null} columns=${["time", "status", "model", "firstByte", "duration"]} />
      <${Worth} title="Expensive calls" note=${dear ? `Why this cost? More than ${DEAR} times the mean` : "Why this cost?"} filters=${dear ? { min_cost_usd: dear } : null} columns=${["time", "status", "model", "tokens", "cost"]} />
    </div>
    <div class="columns">
      <${Top} by="model" title="Models" />
      <${Top} by="tenant" title="Tenants" />
    </div>
    <${Worth} title="Latest calls" note="Why this model? What was asked for, and who answered" filters=${{}} columns=${["time", "status", "outcome", "model", "tenant", "tokens", "cost", "duration"]} />`;
}

/** @param {{stats: Stats}} props */
function Tiles({ stats }) {
  const group = stats.groups[0] ?? { by: {}, total: NOTHING, points: [] };
  const total = group.total;
  const line = (/** @type {keyof Figures} */ figure) => values(stats, group, figure);
  return html`<div class="tiles">
    <${Tile} label="Requests" value=${roughCount(total.calls)} note=${`${number(total.calls / Math.max(1, stats.until - stats.since), 2)} per second`} line=${line("calls")} href=${to("calls")} />
    <${Tile} label="Errors" value=${percent(total.errors, total.calls)} note=${`${roughCount(total.errors)} of status 5xx`} line=${line("errors")} href=${to("errors")} look=${total.errors ? "bad" : ""} />
    <${Tile} label="Refused" value=${roughCount(total.refused)} note="429: budgets and rates" line=${line("refused")} href=${to("calls", { status: "429" })} look=${total.refused ? "warned" : ""} />
    <${Tile} label="Latency p50 / p95" value=${`${duration(total.p50_ms)} / ${duration(total.p95_ms)}`} note="p95 over time" line=${line("p95_ms")} href=${to("latency")} />
    <${Tile} label="First byte p50 / p95" value=${`${duration(total.first_byte_p50_ms)} / ${duration(total.first_byte_p95_ms)}`} note="p95 over time" line=${line("first_byte_p95_ms")} href=${to("latency", { figure: "first_byte_p95_ms" })} />
    <${Tile} label="Tokens per second" value=${number(total.tokens_per_second)} note=${`${roughCount(total.input_tokens)} in, ${roughCount(total.output_tokens)} out`} line=${line("tokens_per_second")} href=${to("latency", { figure: "tokens_per_second" })} />
    <${Tile} label="Spend" value=${roughUsd(total.cost_nano_usd)} note="by model, tenant, key, tag" title=${usd(total.cost_nano_usd)} line=${line("cost_nano_usd")} href=${to("spend")} />
    <${Tile} label="Cache hits" value=${percent(total.cache_hits, total.calls)} note=${`${roughUsd(total.saved_nano_usd)} saved`} line=${line("cache_hits")} href=${to("calls", { cache: "hit" })} />
  </div>`;
}

/** @param {{label: string, value: string, note: string, line: (number | null)[], href: string, look?: string, title?: string}} props */
function Tile({ label, value, note, line, href, look = "", title }) {
  return html`<a class="tile ${look}" href=${href} title=${title}>
    <span class="label">${label}</span><span class="value">${value}</span><span class="note">${note}</span>
    <${Sparkline} values=${line} />
  </a>`;
}

/** @param {{by: string, title: string}} props */
function Top({ by, title }) {
  const answer = useStats(by, { limit: SHOWN });
  return html`<section><h2>${title}<a class="more" href=${to("spend", { by })}>all by spend</a></h2>
    <${Answer} answer=${answer} isEmpty=${!answer.data?.groups.length}>
      <${Table} name=${`${title} by spend`} rows=${answer.data?.groups ?? []} id=${(/** @type {Group} */ group) => nameOf(group, by)} columns=${[
        { label: title.slice(0, -1), cell: (/** @type {Group} */ group) => html`<${GroupName} group=${group} by=${by} />`, kind: "wide" },
        { label: "Calls", cell: (/** @type {Group} */ group) => roughCount(group.total.calls), kind: "number" },
        { label: "Errors", cell: (/** @type {Group} */ group) => percent(group.total.errors, group.total.calls), kind: "number" },
        { label: "p95", cell: (/** @type {Group} */ group) => duration(group.total.p95_ms), kind: "number" },
        { label: "Spend", cell: (/** @type {Group} */ group) => roughUsd(group.total.cost_nano_usd), title: (/** @type {Group} */ group) => usd(group.total.cost_nano_usd), kind: "number" },
      ]} />
    </${Answer}>
  </section>`;
}

/** The latest calls of a kind; `filters` null: not known yet which. @param {{title: string, note: string, filters: Record<string, any> | null, columns: string[]}} props */
function Worth({ title, note, filters, columns }) {
  const answer = useAnswer("calls", () => filters && { ...bounds(), ...filters, limit: SHOWN }, [filters, rangeKey()]);
  const calls = filters ? answer.data?.calls ?? [] : [];
  return html`<section><h2>${title} <small>${note}</small><a class="more" href=${to("calls", filters ?? {})}>all</a></h2>
    <${Answer} answer=${filters ? answer : { data: {}, error: null, isLoading: false }} isEmpty=${!calls.length} empty="None in this time range.">
      <${CallTable} name=${title} calls=${calls} columns=${columns} />
    </${Answer}>
  </section>`;
}
