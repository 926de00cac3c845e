// What needs somebody now, whatever the time range.
import { count } from "./format.js";
import { html } from "./html.js";
import { useAnswer } from "./loading.js";
import { to } from "./location.js";

const TIGHT = 0.9;

export function Warnings() {
  const deployments = useAnswer("deployments", () => ({}), []);
  const budgets = useAnswer("budgets", () => ({}), []);
  const policies = useAnswer("policies", () => ({}), []);
  const telemetry = useAnswer("telemetry", () => ({}), []);
  const now = Date.now() / 1000;
  /** @type {import("./types.js").Deployment[]} */
  const resting = (deployments.data?.deployments ?? []).filter((/** @type {any} */ each) => each.resting_until != null && each.resting_until > now);
  const tight = (budgets.data?.budgets ?? []).filter(isTight);
  const mistakes = policies.data?.last_error?.length ?? 0;
  /** @type {{signal: string, where: string, count: number}[]} */
  const dropped = telemetry.data?.dropped ?? [];
  if (!resting.length && !tight.length && !mistakes && !dropped.length) return null;
  return html`<ul class="warnings" aria-label="Needs attention">
    ${resting.length > 0 && html`<li><a href=${to("upstreams")}>${count(resting.length)} ${resting.length === 1 ? "deployment rests" : "deployments rest"}</a> <span class="quiet">${resting.slice(0, 3).map((each) => each.deployment.slice(0, 40)).join(", ")}</span></li>`}
    ${tight.length > 0 && html`<li><a href=${to("budgets")}>${count(tight.length)} ${tight.length === 1 ? "budget is" : "budgets are"} at ${100 * TIGHT} % or beyond</a></li>`}
    ${mistakes > 0 && html`<li>The last edit of the policy was refused: ${count(mistakes)} ${mistakes === 1 ? "mistake" : "mistakes"}. <code>llmgw check</code> lists them.</li>`}
    ${dropped.length > 0 && html`<li>What is shown is not whole: ${dropped.map((each) => `${count(each.count)} ${each.signal} dropped (${each.where})`).join(", ")}. The runbook's <code>LlmgwTelemetryDropped</code> says why.</li>`}
  </ul>`;
}

/** @param {import("./types.js").Budget} budget */
function isTight(budget) {
  const isSpending = budget.unit === "usd" || budget.unit === "tokens";
  return isSpending && budget.limit > 0 && (Number(budget.settled) + Number(budget.held)) / Number(budget.limit) >= TIGHT;
}
