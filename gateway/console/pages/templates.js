// The versions of prompt templates: who gets which, what their calls came to, and orders to promote one or go back.
import { useState } from "../vendor/hooks.js";
import { post } from "../api.js";
import { Confirmed } from "../confirmed.js";
import { ago, brief, count, duration, iso, number, roughUsd, usd } from "../format.js";
import { html } from "../html.js";
import { Answer, useAnswer } from "../loading.js";
import { changed, place, to } from "../location.js";
import { bounds } from "../range.js";
import { share } from "../standing.js";
import { rangeKey } from "../stats.js";
import { Table } from "../table.js";

/** @typedef {import("../types.js").Figure} Figure */
/** @typedef {import("../types.js").Template} Template */
/** @typedef {import("../types.js").TemplateVersion} TemplateVersion */
/** @typedef {import("../types.js").VersionFigures} VersionFigures */

const FILE = `# policies/templates/support.yaml
variables: {question: {max_length: 4000}}
versions:
  1: {messages: [{system: You answer our customers.}, {user: "{{ question }}"}]}
labels: {production: 1}`;

export function TemplatesPage() {
  const { rest } = place.value;
  return rest ? html`<${One} key=${rest} name=${rest} />` : html`<${All} />`;
}

function All() {
  const answer = useAnswer("templates", () => ({}), []);
  /** @type {Template[]} */
  const templates = answer.data?.templates ?? [];
  const rows = templates.flatMap((template) => template.versions.map((version) => ({ template, version }))).filter(isOfInterest);
  return html`<h1>Templates</h1>
    <p class="quiet">Which share of the calls each version gets, and how near it is to being stepped back. Counts are of all workers.</p>
    <${Answer} answer=${answer} isEmpty=${!templates.length} empty=${html`<${HowTo} />`}>
      <${Table} name="Templates" rows=${rows} id=${(/** @type {Row} */ each) => `${each.template.template}\n${each.version.version}`} rowClass=${(/** @type {Row} */ each) => (each.version.stepped_back ? "bad-row" : "")} columns=${[
        { label: "Template", cell: (/** @type {Row} */ each) => html`<a class="long" href=${to(`templates/${encodeURIComponent(each.template.template)}`)}>${each.template.template}</a>`, title: (/** @type {Row} */ each) => each.template.file, kind: "wide" },
        { label: "Version", cell: (/** @type {Row} */ each) => each.version.version, title: (/** @type {Row} */ each) => each.version.hash, kind: "number" },
        { label: "Labels", cell: (/** @type {Row} */ each) => brief(each.version.labels.join(", ")), kind: "wide" },
        { label: "Share", cell: (/** @type {Row} */ each) => share(each.version.share), kind: "number" },
        { label: "State", cell: (/** @type {Row} */ each) => html`<${State} template=${each.template} version=${each.version} />`, kind: "wide" },
        { label: "What it is for", cell: (/** @type {Row} */ each) => html`<span class="long">${brief(each.template.description, 160)}</span>`, kind: "wide" },
      ]} />
    </${Answer}>`;
}

/** @typedef {{template: Template, version: TemplateVersion}} Row */

/** @param {Row} row */
const isOfInterest = ({ version }) => version.share > 0 || version.labels.length > 0 || version.stepped_back != null || version.evidence.length > 0;

function HowTo() {
  return html`The policy has no prompt templates. This is one:
    <pre tabindex="0" aria-label="A template">${FILE}</pre>`;
}

/** @param {{name: string}} props */
function One({ name }) {
  const answer = useAnswer(`templates/${encodeURIComponent(name)}`, () => ({ since: bounds().since }), [name, rangeKey()]);
  /** @type {Template | null} */
  const template = answer.data;
  return html`<div class="heading"><h1>Template <span class="long">${name}</span></h1><p><a href=${to("templates")}>all templates</a> · <a href=${to("calls", { text: `${name}@` })}>its calls</a></p></div>
    <${Answer} answer=${answer}>${template && html`
      ${template.description && html`<p>${template.description}</p>`}
      <${Versions} template=${template} />
      <${Override} template=${template} />
      <${Orders} template=${template} />
      <${Rollout} template=${template} />`}
    </${Answer}>`;
}

/** @param {{template: Template}} props */
function Versions({ template }) {
  const shares = Object.fromEntries(template.versions.map((each) => [each.version, each.share]));
  const shown = (/** @type {(value: number) => any} */ form, /** @type {keyof VersionFigures} */ name) => (/** @type {VersionFigures} */ row) => html`<${Between} figure=${row[name]} form=${form} />`;
  return html`<section><h2>Versions <small>calls since ${iso(template.since)}; in brackets where it lies with 95 % confidence</small></h2>
    ${template.figures?.length ? html`<${Table} name="Versions" rows=${template.figures} id=${(/** @type {VersionFigures} */ each) => `${each.hash}${each.shadow}`} columns=${[
      { label: "Version", cell: (/** @type {VersionFigures} */ each) => html`${each.version ?? brief(each.hash, 12)}${each.shadow ? html` <span class="quiet">shadow</span>` : ""}`, title: (/** @type {VersionFigures} */ each) => each.hash },
      { label: "Share", cell: (/** @type {VersionFigures} */ each) => (each.shadow || each.version == null ? "–" : share(shares[each.version] ?? 0)), kind: "number" },
      { label: "Calls", cell: (/** @type {VersionFigures} */ each) => count(each.calls), kind: "number" },
      { label: "Errors", cell: shown(share, "errors"), kind: "number" },
      { label: "p50", cell: shown(duration, "latency_p50_ms"), kind: "number" },
      { label: "p95", cell: shown(duration, "latency_p95_ms"), kind: "number" },
      { label: "Cost of a call", cell: shown(roughUsd, "cost_nano_usd"), kind: "number" },
      { label: "Tokens in", cell: shown(number, "input_tokens"), kind: "number" },
      { label: "Tokens out", cell: shown(number, "output_tokens"), kind: "number" },
      { label: "Cache hits", cell: shown(share, "cache_hits"), kind: "number" },
      { label: "Found good", cell: shown(share, "feedback"), title: (/** @type {VersionFigures} */ each) => `${count(each.rated)} were rated`, kind: "number" },
    ]} />` : html`<p class="quiet">Nobody has asked for it in this time.</p>`}
    <ul>${template.versions.filter((version) => isOfInterest({ template, version })).map((version) => html`<li key=${version.version}>Version ${version.version}${version.labels.length ? ` (${version.labels.join(", ")})` : ""} gets ${share(version.share)}. <${State} template=${template} version=${version} /></li>`)}</ul></section>`;
}

/** @param {{figure: Figure, form: (value: number) => any}} props */
function Between({ figure: { value, low, high }, form }) {
  if (value == null) return "–";
  return html`${form(value)}${low != null && high != null && html` <small class="quiet">[${form(low)}, ${form(high)}]</small>`}`;
}

/** @param {Row} row */
function State({ template, version }) {
  if (template.override?.version === version.version) return html`<span class="outcome plain">${template.override.kind === "promote" ? "promoted" : "rolled back to"}</span>`;
  if (version.stepped_back) return html`<span class="outcome bad">stepped back</span> <span class="long">${version.stepped_back.why}</span>`;
  return html`${version.evidence.map((each) => html`<span key=${each.measure} class="tag" title="what speaks against it, and at which value it is stepped back">${each.measure} ${each.bound}: ${Number(each.evidence.toPrecision(3))} of ${Number(each.needed.toPrecision(3))}</span>`)}`;
}

/** @param {{template: Template}} props */
function Override({ template: { override } }) {
  return override && html`<p>${override.kind === "promote" ? "Promoted" : "Rolled back"} to version ${override.version ?? "?"} by ${override.who}, <span title=${iso(override.at)}>${ago(override.at)}</span>: <span class="long">${override.reason}</span></p>`;
}

/** @param {{template: Template}} props */
function Orders({ template }) {
  const [reason, give] = useState("");
  const order = (/** @type {string} */ what, /** @type {Record<string, unknown>} */ more = {}) => async () => {
    /** @type {Template} */
    const told = await post(`templates/${encodeURIComponent(template.template)}:${what}`, { reason: reason || "by hand, in the console", ...more }, template.etag);
    return told.versions.filter((each) => each.share > 0).map((each) => `${share(each.share)} get version ${each.version}`).join(", ");
  };
  return html`<section aria-label="Orders"><h2>Promote, roll back, reset</h2>
    <form onSubmit=${(/** @type {Event} */ event) => event.preventDefault()}><div class="fields"><label>Why<input value=${reason} onInput=${(/** @type {Event} */ event) => give(/** @type {HTMLInputElement} */ (event.currentTarget).value)} spellcheck=${false} autocomplete="off" maxlength="500" /></label></div></form>
    ${template.versions.map((each) => html`<${Confirmed} key=${each.version} label=${`Promote version ${each.version}`} question=${`All calls get version ${each.version}, conversations under way too.`} verb="Promote" act=${order("promote", { version: each.version })} />`)}
    <${Confirmed} label="Roll back" question="All calls get the version before." verb="Roll back" act=${order("rollback")} />
    <${Confirmed} label="Do as the file says" question="What was promoted, rolled back or stepped back is forgotten." verb="Reset" act=${order("reset")} /></section>`;
}

/** @param {{template: Template}} props */
function Rollout({ template: { rollout } }) {
  if (!rollout) return null;
  const { shadow } = rollout;
  return html`<section><h2>Rollout</h2><p>${Object.entries(rollout.weights).map(([version, weight]) => `version ${version}: ${weight}`).join(", ")}; drawn by ${rollout.by}. Stepped back from: ${Object.entries(rollout.step_back).map(([measure, bound]) => `${measure} ${bound}`).join(", ") || "nothing"}, with ${share(rollout.confidence)} confidence.</p>
    ${shadow && html`<p>Version ${shadow.version} is asked beside ${share(shadow.share)} of the calls, for at most ${usd(shadow.budget_nano_usd)} a day.</p>`}</section>`;
}
