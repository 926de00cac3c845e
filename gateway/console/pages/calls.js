// Every call, filtered, page by page or as they come.
import { address } from "../api.js";
import { CallTable } from "../calls.js";
import { Copy } from "../copy.js";
import { count } from "../format.js";
import { chosenFilters, Filters } from "../filters.js";
import { html } from "../html.js";
import { Answer, useAnswer } from "../loading.js";
import { changed, go, place } from "../location.js";
import { bounds } from "../range.js";
import { rangeKey } from "../stats.js";
import { useTail } from "../tail.js";

const SIZES = ["50", "100", "250", "500"];
const COLUMNS = ["time", "status", "outcome", "model", "tenant", "key", "tokens", "cost", "firstByte", "duration", "cache"];

export function CallsPage() {
  const params = place.value.params;
  const isLive = params.get("live") === "1";
  return html`<div class="heading"><h1>Calls</h1>
      <label class="check switch"><input type="checkbox" role="switch" checked=${isLive}
        onChange=${() => go(changed({ live: isLive ? null : "1", before: null }))} /> Live</label>
      <${Copy} label="Copy export as curl" text=${exportCommand()} />
    </div>
    <${Filters} />
    ${isLive ? html`<${Live} key=${JSON.stringify(chosenFilters())} />` : html`<${Pages} />`}`;
}

function Pages() {
  const params = place.value.params;
  const filters = chosenFilters();
  const before = params.get("before");
  const limit = SIZES.includes(params.get("limit") ?? "") ? params.get("limit") : SIZES[1];
  const answer = useAnswer("calls", () => ({ ...bounds(), ...filters, limit, before }), [filters, before, limit, rangeKey()]);
  const calls = answer.data?.calls ?? [];
  return html`<${Answer} answer=${answer} isEmpty=${!calls.length && !before} empty="No call in this time range fits these filters.">
      <${CallTable} name="Calls" calls=${calls} columns=${COLUMNS} />
    </${Answer}>
    <nav class="pager" aria-label="Pages of calls">
      ${before && html`<a href=${changed({ before: null })}>Latest</a>`}
      ${before && html`<button type="button" onClick=${() => window.history.back()}>Newer</button>`}
      <span class="quiet" role="status">${answer.data ? `${count(calls.length)} calls${answer.data.before == null ? ", and no older ones" : ""}` : ""}</span>
      ${answer.data?.before != null && html`<a class="next" rel="next" href=${changed({ before: answer.data.before })}>Older</a>`}
      <label>per page <select value=${limit} onChange=${(/** @type {Event} */ event) => go(changed({ limit: /** @type {HTMLSelectElement} */ (event.currentTarget).value, before: null }))}>
        ${SIZES.map((each) => html`<option key=${each} value=${each}>${each}</option>`)}</select></label>
    </nav>`;
}

function Live() {
  const { calls, state, missed } = useTail(chosenFilters());
  return html`<p class="live ${state === "live" ? "on" : ""}" role="status"><span class="dot" aria-hidden="true"></span>
      ${state === "live" ? "Live: calls appear as they end." : state}
      ${missed > 0 && html` <span class="warned-text">${count(missed)} came too fast to be shown.</span>`}</p>
    ${calls.length ? html`<${CallTable} name="Live calls" calls=${calls} columns=${COLUMNS} />` : html`<p class="quiet">Waiting for the next call …</p>`}`;
}

function exportCommand() {
  const url = address("calls:export", { ...bounds(), ...chosenFilters() });
  return `curl -sS '${url.href.replaceAll("'", "%27")}' -H "Authorization: Bearer $LLMGW_ADMIN_KEY" > calls.jsonl`;
}
