// How the deployments do: resting or not, what they fail with, how long they take.
import { ago, brief, count, duration, iso, percent } from "../format.js";
import { html } from "../html.js";
import { Answer, useAnswer } from "../loading.js";
import { to } from "../location.js";
import { Table } from "../table.js";

/** @typedef {import("../types.js").Deployment} Deployment */

export function UpstreamsPage() {
  const answer = useAnswer("deployments", () => ({}), []);
  /** @type {Deployment[]} */
  const rows = [...(answer.data?.deployments ?? [])].sort((one, other) => rank(other) - rank(one));
  return html`<h1>Upstreams</h1>
    <p class="quiet">Figures are of the last hour.</p>
    <${Answer} answer=${answer} isEmpty=${!rows.length} empty="The policy has no deployment.">
      <${Table} name="Deployments" rows=${rows} id=${(/** @type {Deployment} */ each) => each.deployment} rowClass=${(/** @type {Deployment} */ each) => (isResting(each) ? "bad-row" : "")} columns=${[
        { label: "Deployment", cell: (/** @type {Deployment} */ each) => html`<a class="long" href=${to("calls", { deployment: each.deployment })}>${each.deployment}</a>`, kind: "wide" },
        { label: "State", cell: (/** @type {Deployment} */ each) => html`<${State} deployment=${each} />` },
        { label: "Models", cell: (/** @type {Deployment} */ each) => brief((each.models ?? []).join(", "), 50), title: (/** @type {Deployment} */ each) => (each.models ?? []).join(", "), kind: "wide" },
        { label: "Attempts", cell: (/** @type {Deployment} */ each) => count(each.figures?.attempts), kind: "number" },
        { label: "Failed", cell: (/** @type {Deployment} */ each) => percent(each.figures?.errors, each.figures?.attempts), kind: "number" },
        { label: "p50", cell: (/** @type {Deployment} */ each) => duration(each.figures?.p50_ms), kind: "number" },
        { label: "p95", cell: (/** @type {Deployment} */ each) => duration(each.figures?.p95_ms), kind: "number" },
        { label: "Errors", cell: (/** @type {Deployment} */ each) => html`<${Codes} deployment=${each} codes=${each.figures?.error_codes} />`, kind: "wide" },
        { label: "Not its fault", cell: (/** @type {Deployment} */ each) => html`<${Codes} deployment=${each} codes=${each.figures?.other_codes} />`, title: () => "attempts that callers or the gateway itself ended", kind: "wide" },
      ]} />
    </${Answer}>`;
}

/** @param {{deployment: Deployment}} props */
function State({ deployment }) {
  if (!isResting(deployment)) {
    const { attempts = 0, errors = 0 } = deployment.figures ?? {};
    const isFailing = attempts > 0 && errors / attempts > 0.5;
    return html`<span class="outcome ${isFailing ? "warned" : attempts ? "good" : "plain"}">${isFailing ? "failing" : attempts ? "healthy" : "idle"}</span>`;
  }
  return html`<span class="outcome bad">resting</span> <span class="quiet" title=${iso(deployment.resting_until)}>back ${ago(deployment.resting_until)}: ${brief(deployment.reason, 50)}</span>`;
}

/** @param {{deployment: Deployment, codes: Record<string, number> | undefined}} props */
function Codes({ deployment, codes: counted }) {
  const codes = Object.entries(counted ?? {}).sort(([, one], [, other]) => other - one);
  if (!codes.length) return "–";
  return html`${codes.slice(0, 5).map(([code, times]) => html`<a key=${code} class="tag" href=${to("calls", { provider: deployment.provider, error_code: code })}>${code} × ${count(times)}</a>`)}`;
}

/** @param {Deployment} deployment */
const isResting = (deployment) => deployment.resting_until != null && deployment.resting_until > Date.now() / 1000;

/** What needs a look goes first. @param {Deployment} deployment */
const rank = (deployment) => (isResting(deployment) ? 1e12 : 0) + (deployment.figures?.errors ?? 0) * 1e3 + (deployment.figures?.attempts ?? 0) / 1e6;
