// What is left of every budget and rate, and when it starts anew.
import { ago, brief, count, iso, percent, usd } from "../format.js";
import { html } from "../html.js";
import { Answer, useAnswer } from "../loading.js";
import { changed, go, place } from "../location.js";
import { Table } from "../table.js";

/** @typedef {import("../types.js").Budget} Budget */

export function BudgetsPage() {
  const answer = useAnswer("budgets", () => ({}), []);
  const params = place.value.params;
  const wanted = (params.get("text") ?? "").toLowerCase();
  /** @type {Budget[]} */
  const all = answer.data?.budgets ?? [];
  const rows = all.filter((each) => `${each.level} ${each.subject} ${each.unit} ${each.window}`.toLowerCase().includes(wanted)).sort((one, other) => used(other) - used(one));
  return html`<div class="heading"><h1>Budgets and rates</h1>
      <form onSubmit=${(/** @type {Event} */ event) => event.preventDefault()}><label class="choice">Show
        <input type="search" value=${params.get("text") ?? ""} placeholder="organisation, usd, day …" spellcheck=${false}
          onInput=${(/** @type {Event} */ event) => go(changed({ text: /** @type {HTMLInputElement} */ (event.currentTarget).value }), { quietly: true })} /></label></form>
      <ul class="legend"><li><span class="swatch settled" aria-hidden="true"></span>settled</li><li><span class="swatch held" aria-hidden="true"></span>held</li><li><span class="swatch left" aria-hidden="true"></span>left</li></ul>
    </div>
    <p class="quiet">As they are now. Settled + held never goes beyond a hard limit. Held includes what workers' slices hold.</p>
    <${Answer} answer=${answer} isEmpty=${!rows.length} empty="No budget or rate is in use.">
      <${Table} name="Budgets" rows=${rows} id=${(/** @type {Budget} */ each) => each.account} rowClass=${(/** @type {Budget} */ each) => (used(each) >= 1 ? "bad-row" : "")} columns=${[
        { label: "Level", cell: (/** @type {Budget} */ each) => brief(each.level) },
        { label: "Of", cell: (/** @type {Budget} */ each) => html`<span class="long">${each.subject || "–"}</span>${each.models?.length ? html` <span class="quiet">${each.models.join(", ")}</span>` : ""}`, kind: "wide", title: (/** @type {Budget} */ each) => each.account },
        { label: "Window", cell: (/** @type {Budget} */ each) => windowOf(each), title: (/** @type {Budget} */ each) => each.window_id ?? "" },
        { label: "Mode", cell: (/** @type {Budget} */ each) => brief(each.mode) },
        { label: "Settled, held, left", cell: (/** @type {Budget} */ each) => html`<${Bar} budget=${each} />`, kind: "wide" },
        { label: "Used", cell: (/** @type {Budget} */ each) => percent(Number(each.settled) + held(each), Number(each.limit)), kind: "number" },
        { label: "Settled", cell: (/** @type {Budget} */ each) => amount(each, each.settled), kind: "number" },
        { label: "Held", cell: (/** @type {Budget} */ each) => amount(each, held(each)), kind: "number" },
        { label: "Left", cell: (/** @type {Budget} */ each) => html`${amount(each, each.left)}${each.overdraft ? html` <span class="warned-text">overdraft ${amount(each, each.overdraft)}</span>` : ""}`, kind: "number" },
        { label: "Limit", cell: (/** @type {Budget} */ each) => amount(each, each.limit), kind: "number" },
        { label: "Resets", cell: (/** @type {Budget} */ each) => (each.resets == null ? (each.rolling_seconds ? "rolling" : "–") : ago(each.resets)), title: (/** @type {Budget} */ each) => iso(each.resets), kind: "number" },
      ]} />
    </${Answer}>`;
}

/** @param {{budget: Budget}} props */
function Bar({ budget }) {
  const limit = Number(budget.limit ?? 0);
  if (!limit) return html`<span class="quiet">no limit</span>`;
  const part = (/** @type {number} */ value) => ({ width: `${Math.min(100, (100 * value) / limit)}%` });
  return html`<span class="budget-bar" role="img" aria-label=${`${percent(Number(budget.settled), limit)} settled, ${percent(held(budget), limit)} held`}>
    <span class="settled" style=${part(Number(budget.settled))}></span><span class="held" style=${part(held(budget))}></span></span>`;
}

/** @param {Budget} budget */
const held = (budget) => Number(budget.held ?? 0) + Number(budget.escrowed ?? 0);

/** @param {Budget} budget */
const used = (budget) => (budget.limit ? (Number(budget.settled) + held(budget)) / Number(budget.limit) : 0);

/** @param {Budget} budget @param {import("../types.js").Money} value */
const amount = (budget, value) => (value == null ? "–" : budget.unit === "usd" ? usd(value) : `${count(Number(value))} ${budget.unit ?? ""}`);

/** @param {Budget} budget */
const windowOf = (budget) => (budget.rolling_seconds ? `last ${budget.window ?? ""}` : `per ${budget.window ?? "–"}`);
