// What became of a call, in a word and a colour.
import { brief } from "./format.js";
import { html } from "./html.js";

/** outcome: how it is shown, what it means. */
export const OUTCOMES = /** @type {Record<string, [string, string]>} */ ({
  upstream: ["good", "answered by a provider"],
  gateway: ["good", "answered by the gateway itself, such as the list of models"],
  cache_replay: ["cached", "the kept answer to an earlier call with the same Idempotency-Key"],
  cache_exact: ["cached", "answered from the cache: the same question"],
  cache_joined: ["cached", "given the answer of an identical call under way at the same time"],
  cache_semantic: ["cached", "answered from the cache: a question that means the same"],
  stopped_budget: ["warned", "stopped where the budget ended"],
  rejected_auth: ["warned", "refused: no usable key, or one without the right"],
  rejected_request: ["warned", "refused: the request was wrong"],
  rejected_policy: ["warned", "refused by the policy"],
  rejected_rate: ["warned", "refused: too many calls or tokens at a time"],
  rejected_budget: ["warned", "refused: the budget does not cover it"],
  upstream_error: ["bad", "no provider could answer"],
  overloaded: ["bad", "the gateway had more to do than it could"],
  client_abort: ["warned", "the client left"],
  internal_error: ["bad", "a bug of the gateway"],
  trial: ["plain", "no call: what came of asking somebody else one that was answered"],
  orphaned: ["bad", "the worker that served it died"],
});

/** The model that was asked for and the deployment that answered, as far as they are known. @param {{call: import("./types.js").Call}} props */
export function Answered({ call }) {
  if (call.deployment == null) return brief(call.model, 60);
  return html`${brief(call.model, 48)} <span class="quiet">→</span> ${brief(call.deployment, 48)}`;
}

/** @param {{call: import("./types.js").Call}} props */
export function Outcome({ call }) {
  const [look, meaning] = OUTCOMES[call.outcome] ?? ["plain", ""];
  return html`<span class="outcome ${look}" title=${meaning}>${brief(call.outcome, 24).replaceAll("_", " ")}</span>`;
}
