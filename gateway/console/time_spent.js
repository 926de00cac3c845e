// Where the time of a call went.
import { duration, percent } from "./format.js";
import { html } from "./html.js";

/** @typedef {{name: string, look: string, ms: number}} Part */

/** @param {import("./types.js").Call} call @returns {Part[]} */
export function parts(call) {
  /** @type {import("./types.js").Attempt[]} */
  const attempts = call.attempts ?? [];
  const total = call.duration_ms ?? 0;
  const last = attempts.at(-1);
  const failed = attempts.slice(0, -1).reduce((sum, each) => sum + (each.duration_ms ?? 0), 0);
  const until = last?.first_byte_ms ?? last?.duration_ms ?? 0;
  const after = Math.max(0, (last?.duration_ms ?? 0) - until);
  const stages = stagesOf(call);
  const ours = Math.max(0, (call.overhead_ms ?? 0) - stages.reduce((sum, each) => sum + each.ms, 0));
  const known = [
    ...stages,
    { name: "the gateway's own work", look: "gateway", ms: ours },
    { name: "waiting to try again", look: "waiting", ms: call.waited_ms ?? 0 },
    { name: "attempts that failed", look: "failed", ms: failed },
    { name: last?.first_byte_ms == null ? "the last attempt" : "waiting for the first byte", look: "waiting", ms: until },
    { name: "reading the answer", look: "reading", ms: after },
  ];
  const rest = Math.max(0, total - known.reduce((sum, each) => sum + each.ms, 0));
  return [...known, { name: "everything else", look: "other", ms: rest }].filter((part) => part.ms > total / 1000);
}

/** The stages of the gateway that took a noticeable share of the time. @param {import("./types.js").Call} call @returns {Part[]} */
function stagesOf(call) {
  /** @type {Map<string, number>} */
  const took = new Map();
  for (const stage of call.stages ?? []) {
    if (stage.name !== "upstream") took.set(stage.name, (took.get(stage.name) ?? 0) + (stage.duration_ms ?? 0));
  }
  return [...took].filter(([, ms]) => ms > (call.duration_ms ?? 0) / 50).map(([name, ms]) => ({ name: `the stage ${name}`, look: "stage", ms }));
}

/** @param {{call: import("./types.js").Call}} props */
export function TimeSpent({ call }) {
  const all = parts(call);
  const total = call.duration_ms ?? 0;
  if (!all.length || !total) return html`<p class="quiet">How long it took is not known.</p>`;
  const [most] = [...all].sort((one, other) => other.ms - one.ms);
  return html`<p>${percent(most.ms, total)} of ${duration(total)} went into <strong>${most.name}</strong>.</p>
    <div class="stack" aria-hidden="true">${all.map((part) => html`<span key=${part.name} class=${part.look} style=${{ flexGrow: part.ms }}></span>`)}</div>
    <ul class="legend">${all.map((part) => html`<li key=${part.name}><span class="swatch ${part.look}" aria-hidden="true"></span>${part.name} <b>${duration(part.ms)}</b></li>`)}</ul>`;
}
