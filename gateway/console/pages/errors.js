// What goes wrong, grouped by code and provider.
import { ago, brief, count, iso } from "../format.js";
import { html } from "../html.js";
import { Answer, useAnswer } from "../loading.js";
import { to, toCall } from "../location.js";
import { Outcome } from "../outcome.js";
import { bounds } from "../range.js";
import { rangeKey } from "../stats.js";
import { Table } from "../table.js";

/** @typedef {import("../types.js").ErrorGroup} ErrorGroup */

export function ErrorsPage() {
  const answer = useAnswer("errors", bounds, [rangeKey()]);
  /** @type {ErrorGroup[]} */
  const errors = answer.data?.errors ?? [];
  const calls = (/** @type {ErrorGroup} */ each) => to("calls", { error_code: each.error_code, provider: each.provider, outcome: each.outcome });
  return html`<h1>Errors</h1>
    <${Answer} answer=${answer} isEmpty=${!errors.length} empty="No error in this time range.">
      <${Table} name="Errors" rows=${errors} id=${(/** @type {ErrorGroup} */ each) => [each.error_code, each.provider, each.outcome].join(" ")} columns=${[
        { label: "Code", cell: (/** @type {ErrorGroup} */ each) => html`<a class="long" href=${calls(each)}>${each.error_code ?? "(none)"}</a>`, kind: "wide" },
        { label: "Calls", cell: (/** @type {ErrorGroup} */ each) => count(each.count), kind: "number" },
        { label: "Outcome", cell: (/** @type {ErrorGroup} */ each) => html`<${Outcome} call=${each} />` },
        { label: "Provider", cell: (/** @type {ErrorGroup} */ each) => brief(each.provider, 30) },
        { label: "Latest message", cell: (/** @type {ErrorGroup} */ each) => html`<span class="long">${brief(each.message, 160)}</span>`, title: (/** @type {ErrorGroup} */ each) => each.message ?? "", kind: "wide" },
        { label: "First", cell: (/** @type {ErrorGroup} */ each) => ago(each.first_at), title: (/** @type {ErrorGroup} */ each) => iso(each.first_at), kind: "number" },
        { label: "Last", cell: (/** @type {ErrorGroup} */ each) => ago(each.last_at), title: (/** @type {ErrorGroup} */ each) => iso(each.last_at), kind: "number" },
        { label: "Sample", cell: (/** @type {ErrorGroup} */ each) => each.sample_id && html`<a href=${toCall(each.sample_id)}>a call</a>` },
      ]} />
    </${Answer}>`;
}
