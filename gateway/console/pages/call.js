// One call: its story, why this model, why this cost, why slow, and everything that is recorded of it.
import { address } from "../api.js";
import { Copy } from "../copy.js";
import { Fields, text } from "../fields.js";
import { brief, count, duration, iso, moment, number, percent, usd } from "../format.js";
import { html } from "../html.js";
import { Answer, useAnswer } from "../loading.js";
import { to } from "../location.js";
import { Report } from "../meanings.js";
import { Answered, Outcome } from "../outcome.js";
import { meaning } from "../reasons.js";
import { Table } from "../table.js";
import { TimeSpent } from "../time_spent.js";
import { Waterfall } from "../waterfall.js";
import { Choice } from "../why_model.js";

/** @typedef {import("../types.js").Call} Call */
/** @typedef {import("../types.js").Attempt} Attempt */

/** @param {{rest: string}} props */
export function CallPage({ rest: id }) {
  const answer = useAnswer(`calls/${encodeURIComponent(id)}`, () => ({}), [id]);
  const call = answer.data;
  return html`<div class="heading"><h1>Call <code class="long">${id}</code></h1>
      ${call && html`<${Copies} call=${call} />`}</div>
    <${Answer} answer=${answer}>${call && html`<${Told} call=${call} />`}</${Answer}>`;
}

/** @param {{call: Call}} props */
function Copies({ call }) {
  const url = address(`calls/${encodeURIComponent(call.id)}`).href.replaceAll("'", "%27");
  return html`<${Copy} label="Copy request id" text=${String(call.id)} />
    ${call.trace_id && html`<${Copy} label="Copy trace id" text=${call.trace_id} />`}
    <${Copy} label="Copy curl" text=${`curl -sS '${url}' -H "Authorization: Bearer $LLMGW_ADMIN_KEY"`} />
    <${Copy} label="Copy explain" text=${`llmgw explain --call '${String(call.id).replaceAll("'", "'\\''")}'`} />`;
}

/** @param {{call: Call}} props */
function Told({ call }) {
  return html`<p class="summary"><${Outcome} call=${call} /> <b>${call.status ?? "–"}</b>
      <span><${Answered} call=${call} /></span>
      <span>${brief(call.tenant, 40)}</span><span>${duration(call.duration_ms)}</span><span>${usd(call.cost_nano_usd)}</span>
      <time datetime=${iso(call.at)} title=${iso(call.at)}>${moment(call.at)}</time></p>
    ${call.error && html`<p class="failure"><b>${call.error_code}</b> ${call.error}${call.failed_in ? ` (in ${call.failed_in})` : ""}</p>`}
    <section class="story"><h2>What happened</h2>
      ${call.story?.length ? html`<ol>${call.story.map((/** @type {unknown} */ sentence, /** @type {number} */ index) => html`<li key=${index}>${String(sentence)}</li>`)}</ol>`
        : html`<p class="quiet">No story was kept.</p>`}
    </section>
    <div class="columns three">
      <section><h2>Why this model</h2><${WhyModel} call=${call} /></section>
      <section><h2>Why this cost</h2><${WhyCost} call=${call} /></section>
      <section><h2>Why this long</h2><${TimeSpent} call=${call} />
        <${Fields} fields=${{ first_byte: call.first_byte_ms == null ? null : duration(call.first_byte_ms), chunks: call.chunks == null ? null : count(call.chunks), output: speed(call) }} /></section>
    </div>
    <section><h2>Waterfall</h2>${call.spans?.length ? html`<${Waterfall} spans=${call.spans} total=${call.duration_ms} />` : html`<p class="quiet">No spans were kept.</p>`}</section>
    <section><h2>Attempts</h2><${Attempts} attempts=${call.attempts ?? []} /></section>
    <div class="columns three">
      <section><h2>Who asked for what</h2><${Caller} call=${call} /></section>
      <section><h2>Budget</h2><${Budget} call=${call} /></section>
      <section aria-label="Cache"><h2>Cache</h2><${Cached} call=${call} /></section>
    </div>
    ${call.content && html`<section><h2>Content</h2><h3>Input</h3><pre tabindex="0">${plain(call.content.input)}</pre><h3>Output</h3><pre tabindex="0">${plain(call.content.output)}</pre></section>`}
    <details class="raw"><summary>Raw record</summary><${Copy} label="Copy JSON" text=${text(call)} /><pre tabindex="0">${text(call)}</pre></details>`;
}

/** @param {Call} call @param {string} name @returns {Record<string, unknown>[]} what the stages of this name found */
const found = (call, name) => (call.stages ?? []).filter((/** @type {any} */ each) => each.name === name)
  .map((/** @type {any} */ { name: _, started_ms: _started, duration_ms: _took, ...facts }) => facts);

/** @param {{call: Call}} props */
function WhyModel({ call }) {
  const facts = Object.assign({}, ...found(call, "route"));
  return html`<${Fields} fields=${{
    asked_for: call.model, route: call.route, reason: call.reason, ...facts, served_by: call.deployment, upstream_model: call.upstream_model,
    answered_as: call.response_model, left_out: call.dropped?.length ? call.dropped : null, template: call.template, policy: call.policy, finished: call.finish_reasons,
  }} /><${Choice} call=${call} />`;
}

const TOKENS = [
  ["input", "input_tokens"], ["of it cached", "cached_tokens"], ["of it written to the cache", "cache_write_tokens"],
  ["output", "output_tokens"], ["of it reasoning", "reasoning_tokens"], ["audio", "audio_tokens"],
];

/** @param {{call: Call}} props */
function WhyCost({ call }) {
  const rows = TOKENS.filter(([label, name]) => call[name] || ((label === "input" || label === "output") && call[name] != null));
  const facts = Object.assign({}, ...found(call, "meter"));
  if (call.cost_nano_usd == null && !rows.length) return html`<p class="quiet">Nothing was billed: no provider's answer was used.</p>`;
  return html`<p class="amount">${usd(call.cost_nano_usd)}${call.estimated ? html` <span class="warned-text">estimated: the provider gave no count</span>` : ""}</p>
    ${rows.length > 0 && html`<table class="small"><caption class="off-screen">Tokens</caption><tbody>${rows.map(([label, name]) => html`<tr key=${name}>
      <th scope="row">${label}</th><td class="number">${count(call[name])}</td></tr>`)}</tbody></table>`}
    <${Fields} fields=${{ ...facts, held: call.reserved_nano_usd == null ? null : `${usd(call.reserved_nano_usd)} at most`,
      settled_of_held: call.reserved_nano_usd ? percent(Number(call.cost_nano_usd), Number(call.reserved_nano_usd)) : null,
      saved: call.saved_nano_usd == null ? null : usd(call.saved_nano_usd) }} />`;
}

/** Output tokens over the time after the first byte. @param {Call} call */
function speed(call) {
  const seconds = (call.duration_ms - call.first_byte_ms) / 1000;
  return call.stream && call.output_tokens && seconds > 0.001 ? `${(call.output_tokens / seconds).toFixed(1)} tokens/s` : null;
}

// Of a cascade or a hedge: what each answer cost, and why it was not served.
const SEVERAL = [
  { label: "Cost", cell: (/** @type {Attempt} */ each) => usd(each.cost_nano_usd), kind: "number" },
  { label: "Served", cell: (/** @type {Attempt} */ each) => (each.served ? "yes" : brief(each.because)) },
];

/** @param {{attempts: Attempt[]}} props */
function Attempts({ attempts }) {
  if (!attempts.length) return html`<p class="quiet">No provider was asked.</p>`;
  return html`<${Table} name="Attempts" rows=${attempts} id=${(/** @type {Attempt} */ each) => each.number} rowClass=${(/** @type {Attempt} */ each) => (each.error ? "bad-row" : "")} columns=${[
    { label: "#", cell: (/** @type {Attempt} */ each) => each.number, kind: "narrow" },
    { label: "Deployment", cell: (/** @type {Attempt} */ each) => (each.deployment ? html`<a class="long" href=${to("calls", { deployment: each.deployment })}>${each.deployment}</a>` : "–"), kind: "wide" },
    { label: "Why", cell: (/** @type {Attempt} */ each) => brief(each.reason) },
    { label: "Status", cell: (/** @type {Attempt} */ each) => each.status ?? "–", kind: "number" },
    { label: "Starts", cell: (/** @type {Attempt} */ each) => duration(each.started_ms), kind: "number" },
    { label: "First byte", cell: (/** @type {Attempt} */ each) => duration(each.first_byte_ms), kind: "number" },
    { label: "Duration", cell: (/** @type {Attempt} */ each) => duration(each.duration_ms), kind: "number" },
    { label: "Error", cell: (/** @type {Attempt} */ each) => html`<span class="long">${[each.error, each.detail].filter(Boolean).join(": ") || "–"}</span>`, kind: "wide" },
    ...(attempts.some((each) => each.served != null || each.because) ? SEVERAL : []),
    { label: "Provider's request id", cell: (/** @type {Attempt} */ each) => brief(each.upstream_request_id, 40) },
  ]} />`;
}

/** @param {{call: Call}} props */
function Caller({ call }) {
  const link = (/** @type {string} */ name, /** @type {unknown} */ shown = call[name]) => (call[name] == null ? null : html`<a class="long" href=${to("calls", { [name]: call[name] })}>${shown}</a>`);
  return html`<${Fields} fields=${{
    tenant: link("tenant"), key: link("key_id", `${call.key_name ?? ""} (${call.key_id})`), end_user: link("user"), conversation: link("conversation"),
    tags: call.tags?.length ? html`${call.tags.map((/** @type {string} */ tag) => html`<a key=${tag} class="tag" href=${to("calls", { tag })}>${tag}</a>`)}` : null,
    request: `${call.method ?? ""} ${call.path ?? ""}`.trim(), operation: call.operation, session_ended: call.session && `by the ${call.session.closed_by} (${call.session.close_code}), after ${count(call.session.responses)} responses`, stream: call.stream == null ? null : call.stream ? "yes" : "no",
    parameters: call.parameters && Object.keys(call.parameters).length ? text(call.parameters) : null, trace: call.trace_id, caller_span: call.parent_span_id,
  }} />`;
}

/** @param {{call: Call}} props */
function Budget({ call }) {
  const asked = found(call, "budget");
  if (!asked.length && call.reserved_nano_usd == null) return html`<p class="quiet">No budget or rate applied, or the call did not get that far.</p>`;
  return html`<${Fields} fields=${{ held: usd(call.reserved_nano_usd), settled: usd(call.cost_nano_usd) }} />
    ${asked.map((facts, index) => html`<${Fields} key=${index} fields=${facts} />`)}`;
}

const KINDS = /** @type {Record<string, string>} */ ({
  exact: "the answer to the same call", joined: "the answer of an identical call under way", semantic: "the answer to a question in other words", replay: "the answer to this Idempotency-Key",
});
const NAME = /^[0-9a-f]{16}:[0-9a-f]{64}$/;

/** @param {{call: Call}} props */
function Cached({ call }) {
  if (call.cache == null) return html`<p class="quiet">The call did not get that far.</p>`;
  const entry = NAME.test(call.cache_entry ?? "") ? call.cache_entry : null;
  return html`<${Fields} fields=${{
      result: call.cache, found: KINDS[call.cache_kind] ?? call.cache_kind, why_not: call.cache_reason == null ? null : meaning(String(call.cache_reason)), similarity: call.similarity == null ? null : number(call.similarity, 4),
      saved: call.saved_nano_usd == null && call.saved_ms == null ? null : `${usd(call.saved_nano_usd)} and ${duration(call.saved_ms)}`,
      [call.cache === "miss" ? "kept_as" : "kept_answer"]: entry ? html`<a class="long" href=${to("cache", { entry })}>${entry}</a>` : call.cache_entry,
    }} />
    ${entry && call.cache_kind === "semantic" && html`<${Report} name=${entry} call=${String(call.id)} />`}`;
}

/** @param {unknown} value */
const plain = (value) => (typeof value === "string" ? value : text(value));
