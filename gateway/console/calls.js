// A table of calls, each a link to its story.
import { brief, count, duration, shortMoment, iso, roughUsd, usd } from "./format.js";
import { html } from "./html.js";
import { toCall } from "./location.js";
import { Answered, Outcome } from "./outcome.js";
import { Table } from "./table.js";

/** @typedef {import("./types.js").Call} Call */
/** @typedef {import("./table.js").Column<Call>} Column */

/** @type {Record<string, Column>} */
const COLUMNS = {
  time: {
    label: "Time",
    cell: (call) => html`<a href=${toCall(call.id)}><time datetime=${iso(call.at)}>${shortMoment(call.at)}</time></a>`,
    title: (call) => `${call.id} · ${iso(call.at)}`,
  },
  status: { label: "Status", cell: (call) => call.status ?? "–", kind: "number" },
  outcome: {
    label: "Outcome",
    cell: (call) => html`<${Outcome} call=${call} />${call.error_code && html` <span class="quiet">${brief(call.error_code, 22)}</span>`}`,
    title: (call) => [call.error_code, call.error].filter(Boolean).join(": "),
  },
  model: {
    label: "Model → deployment",
    cell: (call) => html`<span class="one-line"><${Answered} call=${call} /></span>`,
    title: (call) => [call.model, call.deployment].filter((each) => each != null).join(" → "),
  },
  tenant: { label: "Tenant", cell: (call) => brief(call.tenant, 18), title: (call) => `${call.tenant ?? ""} ${call.key_name ?? ""}` },
  key: { label: "Key", cell: (call) => brief(call.key_name, 14), title: (call) => call.key_id ?? "", kind: "roomy" },
  tokens: {
    label: "Tokens in / out",
    cell: (call) => html`${count(call.input_tokens)} <span class="quiet">/</span> ${count(call.output_tokens)}`,
    title: (call) => (call.cached_tokens ? `${call.cached_tokens} of the input cached` : ""),
    kind: "number",
  },
  cost: { label: "Cost", cell: (call) => roughUsd(call.cost_nano_usd), title: (call) => usd(call.cost_nano_usd), kind: "number" },
  firstByte: { label: "First byte", cell: (call) => duration(call.first_byte_ms), kind: "number" },
  duration: { label: "Duration", cell: (call) => duration(call.duration_ms), kind: "number" },
  cache: { label: "Cache", cell: (call) => brief(call.cache, 12), kind: "roomy" },
  error: { label: "Message", cell: (call) => html`<span class="one-line">${brief(call.error, 90)}</span>`, title: (call) => call.error ?? "" },
};

/** `columns` are names of COLUMNS. @param {{name: string, calls: Call[], columns: string[]}} props */
export function CallTable({ name, calls, columns }) {
  const isBad = (/** @type {Call} */ call) => (call.status >= 500 ? "bad-row" : "");
  return html`<${Table} name=${name} columns=${columns.map((each) => COLUMNS[each])} rows=${calls} id=${(/** @type {Call} */ call) => `${call.id} ${call.at}`} rowClass=${isBad} />`;
}
