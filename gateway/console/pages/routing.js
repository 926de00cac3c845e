// What has been shown of cheaper models, route by route, and what showing it costs.
import { ago, brief, count, iso, usd } from "../format.js";
import { html } from "../html.js";
import { Answer, useAnswer } from "../loading.js";
import { changed, place, to } from "../location.js";
import { Loss, share, Standing } from "../standing.js";
import { Table } from "../table.js";

/** @typedef {import("../types.js").Certificate} Certificate */

const CANDIDATES = `routes:
  - {name: invoices, match: {model: auto, has: [json_schema]}, model: strong, candidates: [cheap], guarantee: {max_loss: 5%}}`;

export function RoutingPage() {
  const route = place.value.params.get("route");
  const answer = useAnswer("certificates", () => (route ? { route } : {}), [route]);
  /** @type {Certificate[]} */
  const rows = answer.data?.certificates ?? [];
  return html`<div class="heading"><h1>Routing</h1>${route && html`<p>Route <b class="long">${route}</b> · <a href=${changed({ route: null })}>all routes</a></p>`}</div>
    <p class="quiet">A candidate answers a route's calls once it has been shown what it loses of the reference's quality. Counts are of all workers, those of system prompts the ones that the worker behind this page knows.</p>
    <${Answer} answer=${answer} isEmpty=${!rows.length} empty=${html`<${HowTo} />`}>
      <${Table} name="Certificates" rows=${rows} id=${(/** @type {Certificate} */ each) => [each.route, each.candidate, each.prompt].join("\n")} rowClass=${(/** @type {Certificate} */ each) => (each.standing === "revoked" ? "bad-row" : "")} columns=${[
        { label: "Route", cell: (/** @type {Certificate} */ each) => html`<a class="long" href=${to("calls", { route: each.route })}>${each.route}</a>`, kind: "wide" },
        { label: "Candidate", cell: (/** @type {Certificate} */ each) => html`<span class="long">${each.candidate}</span> <span class="quiet">${each.kind === "model" ? "" : each.kind} for <span class="long">${each.reference}</span>${each.prompt ? ` · prompt ${brief(each.prompt, 12)}` : ""}</span>`, kind: "wide" },
        { label: "Standing", cell: (/** @type {Certificate} */ each) => html`<${Standing} standing=${each.standing} more=${each.suspicious ? ", suspicious" : ""} />`, title: (/** @type {Certificate} */ each) => `trial ${each.trial}, since ${iso(each.since)}` },
        { label: "Loss", cell: (/** @type {Certificate} */ each) => html`<${Loss} certificate=${each} />`, kind: "wide" },
        { label: "Labels", cell: (/** @type {Certificate} */ each) => count(each.labels), title: (/** @type {Certificate} */ each) => `${count(each.audited)} since it was certified`, kind: "number" },
        { label: "Tried", cell: (/** @type {Certificate} */ each) => html`<a href=${to("calls", { outcome: "trial", route: each.route })}>${share(each.share)}</a>`, title: () => "the share of calls that somebody else is asked too", kind: "number" },
        { label: "Costs", cell: (/** @type {Certificate} */ each) => share(each.price_ratio), title: () => "of what the reference does, as expected", kind: "number" },
        { label: "Trials today", cell: (/** @type {Certificate} */ each) => spent(each), title: () => "of the route, all its candidates together", kind: "number" },
        { label: "Since", cell: (/** @type {Certificate} */ each) => (each.since == null ? "–" : ago(each.since)), title: (/** @type {Certificate} */ each) => iso(each.since) },
        { label: "Why", cell: (/** @type {Certificate} */ each) => html`<span class="long">${each.why}</span>`, kind: "wide" },
      ]} />
    </${Answer}>`;
}

function HowTo() {
  return html`No route of the policy has candidates. This lets a cheaper model answer, once it has been shown that it loses at most 5 %:
    <pre tabindex="0" aria-label="A route with a candidate">${CANDIDATES}</pre>`;
}

/** @param {Certificate} certificate */
function spent({ budget }) {
  if (budget.limit_nano_usd == null) return "no limit";
  return html`${budget.spent_nano_usd == null ? "?" : usd(budget.spent_nano_usd)} <span class="quiet">of</span> ${usd(budget.limit_nano_usd)}`;
}
