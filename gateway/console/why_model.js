// Why a call was answered by whom it was: the candidates, the score, and what was asked beside it.
import { brief, number } from "./format.js";
import { html } from "./html.js";
import { to, toCall } from "./location.js";
import { share, Standing } from "./standing.js";
import { Table } from "./table.js";

/** @typedef {{name: string, standing: string, skipped: string | null}} Candidate */
/** @typedef {{asks: string, of: string, probability: number}} Drawn */
/** @typedef {import("./types.js").Trial} Trial */

/** Nothing where there was nothing to choose from. @param {{call: import("./types.js").Call}} props */
export function Choice({ call }) {
  const decision = call.decision ?? {};
  /** @type {Candidate[]} */
  const candidates = decision.candidates ?? [];
  /** @type {Drawn[]} */
  const drawn = decision.trials ?? [];
  return html`${candidates.length > 0 && html`<h3>Candidates <small><a href=${to("routing", { route: call.route })}>what has been shown of them</a></small></h3>
    <${Table} name="Candidates" rows=${candidates} id=${(/** @type {Candidate} */ each) => each.name} columns=${[
      { label: "Candidate", cell: (/** @type {Candidate} */ each) => html`<span class="long">${each.name}</span>`, kind: "wide" },
      { label: "Standing", cell: (/** @type {Candidate} */ each) => html`<${Standing} standing=${each.standing} />` },
      { label: "Answered", cell: (/** @type {Candidate} */ each) => (each.name === decision.candidate ? "yes" : each.skipped && each.skipped !== each.standing ? `no: ${each.skipped}` : "no") },
    ]} />`}
    ${decision.score != null && html`<${Score} decision=${decision} />`}
    ${drawn.length > 0 && html`<h3>Asked beside it</h3><${Table} name="Asked beside it" rows=${drawn} id=${(/** @type {Drawn} */ each) => `${each.asks} ${each.of}`} columns=${[
      { label: "Asked", cell: (/** @type {Drawn} */ each) => html`<span class="long">${each.asks}</span>`, kind: "wide" },
      { label: "To learn of", cell: (/** @type {Drawn} */ each) => html`<span class="long">${each.of}</span>`, kind: "wide" },
      { label: "Of such calls", cell: (/** @type {Drawn} */ each) => share(each.probability), kind: "number" },
      { label: "What came of it", cell: (/** @type {Drawn} */ each) => came(each, call.trials ?? []) },
    ]} />`}
    ${call.trial && html`<p>What came of a trial of <a class="long" href=${toCall(call.trial.request_id)}>${call.trial.request_id}</a>.</p>`}
    ${call.made_for && html`<p>The gateway made it for <a class="long" href=${toCall(call.made_for)}>${call.made_for}</a>.</p>`}`;
}

/** @param {{decision: Record<string, any>}} props */
function Score({ decision }) {
  const parts = Object.entries(/** @type {Record<string, number>} */ (decision.parts ?? {})).sort(([, one], [, other]) => Math.abs(other) - Math.abs(one));
  return html`<h3>Score</h3><p>${number(decision.score, 4)}, where the strong model answers above ${number(decision.threshold, 4)}</p>
    ${parts.length > 0 && html`<table class="small"><caption class="off-screen">Parts of the score</caption><tbody>${parts.map(([name, value]) => html`<tr key=${name}><th scope="row">${brief(name, 60)}</th><td class="number">${number(value, 4)}</td></tr>`)}</tbody></table>`}`;
}

/** @param {Drawn} drawn @param {Trial[]} trials */
function came(drawn, trials) {
  const found = trials.find((each) => each.asked === drawn.asks && each.candidate === drawn.of);
  if (!found) return "not recorded (yet)";
  if (found.candidate_quality == null) return found.reason ? `not compared: ${found.reason.replaceAll("_", " ")}` : "compared with nothing";
  return `quality ${number(found.candidate_quality, 2)}, the reference's ${number(found.reference_quality, 2)}${found.reason ? ` (${found.reason.replaceAll("_", " ")})` : ""}`;
}
