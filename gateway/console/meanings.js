// What the semantic cache has learnt of each route, what came near, and what was wrong.
import { useRef, useState } from "./vendor/hooks.js";
import { post } from "./api.js";
import { Confirmed } from "./confirmed.js";
import { Fields } from "./fields.js";
import { brief, count, number, percent } from "./format.js";
import { Histogram } from "./histogram.js";
import { html } from "./html.js";
import { Answer, useAnswer } from "./loading.js";
import { changed } from "./location.js";
import { meaning } from "./reasons.js";
import { Table } from "./table.js";

/** @typedef {import("./types.js").Example} Example */
/** @typedef {import("./types.js").Learnt} Learnt */
/** @typedef {import("./types.js").Meanings} State */

const LOOKS = /** @type {Record<string, string>} */ ({ earned: "good", learning: "cached", off: "warned", unproven: "warned" });
const SWITCHED_ON = "semantic: {max_error: 2%}";

export function Meanings() {
  const answer = useAnswer("cache/semantic", () => ({}), []);
  const [said, say] = useState("");
  const heading = useRef(/** @type {HTMLElement | null} */ (null));
  const reported = (/** @type {string} */ text) => {
    say(text);
    heading.current?.focus(); // what was reported is gone from the table
  };
  /** @type {State | null} */
  const state = answer.data;
  const isAsked = Boolean(state && (state.routes.length || state.unseen.length));
  return html`<section aria-label="By meaning"><h2 tabindex="-1" ref=${heading}>By meaning <small>questions in other words, answered with what was kept</small></h2>
    <p role="status">${said}</p>
    <${Answer} answer=${answer}>${state && html`
      ${!isAsked && html`<p class="quiet">No rule of the policy asks for it; <code>${SWITCHED_ON}</code> in a route's rule does.</p>`}
      ${isAsked && !state.is_installed && html`<p class="warned-text">The packages of the semantic cache are not installed, so nothing is found by its meaning. <code>make semantic run</code> installs them.</p>`}
      ${state.unseen.length > 0 && html`<p class="quiet">No call has come to this worker yet for ${state.unseen.map((name) => html`<span key=${name} class="tag">${brief(name)}</span>`)}</p>`}
      ${state.routes.map((route) => html`<${Route} key=${[route.route, route.model, route.template].join("\n")} route=${route} reported=${reported} />`)}
      ${state.routes.length > 0 && html`<p class="quiet">States and counts are of all workers. Histograms, near misses and wrong answers are what the worker that serves this page has seen since it started.</p>
        <details class="raw"><summary>Figures of this worker</summary><${Fields} fields=${state.this_worker.figures} /></details>`}`}
    </${Answer}></section>`;
}

/** @param {{route: Learnt, reported: (text: string) => void}} props */
function Route({ route, reported }) {
  const { histogram, near_misses, wrong_examples, reasons } = route.this_worker;
  const name = `${brief(route.route ?? "(no route)", 40)} → ${brief(route.model, 40)}`;
  const [word, more] = inWords(route);
  return html`<section aria-label="By meaning: ${name}"><h3>${name} <span class="outcome ${LOOKS[route.state] ?? "plain"}">${word}</span></h3>
    <p>${more}</p>
    <div class="columns">
      <${Histogram} label="Similarities of what came near" bins=${histogram} threshold=${route.threshold} />
      <${Fields} fields=${{
        served: count(route.hits), compared_with_real_answers: count(route.compared), of_these_wrong: `${count(route.wrong)} (${percent(route.wrong, route.compared)})`,
        promised: route.max_error == null ? "nothing" : `at most ${percent(route.max_error, 1)} wrong`, thresholds_taken_back: count(route.lost), judge: route.judge, template: route.template,
        embedder: route.embedder, lately: Object.entries(reasons).sort(([, one], [, other]) => other - one).map(([reason, times]) => html`<span key=${reason} class="tag" title=${meaning(reason)}>${reason.replaceAll("_", " ")} × ${count(times)}</span>`),
      }} />
    </div>
    ${wrong_examples.length > 0 && html`<h3>Wrong answers that comparing has found</h3><${Examples} name="Wrong answers: ${name}" examples=${wrong_examples} reported=${reported} />`}
    ${near_misses.length > 0 && html`<h3>Near, and not served</h3><${Examples} name="Near misses: ${name}" examples=${near_misses} />`}
  </section>`;
}

/** The word and the sentence for where a route stands. @param {Learnt} route @returns {[string, string]} */
function inWords({ state, labels, labels_to_learn, threshold, bound, confidence }) {
  const risk = `at most ${percent(bound, 1)} wrong, ${percent(confidence, 1)} sure`;
  if (state === "learning") return [state, `learning: ${count(labels)} of about ${count(labels_to_learn)} comparisons`];
  if (state === "earned") return [state, `earned: served from ${threshold} on; ${risk}`];
  if (state === "unproven") return [state, `unproven: the threshold was set by hand, served from ${threshold} on${bound < 1 ? `; ${risk}` : ""}`];
  return [state, "off: its hits were wrong too often"];
}

/** With `reported`, each can be reported as a bad answer. @param {{name: string, examples: Example[], reported?: (text: string) => void}} props */
function Examples({ name, examples, reported }) {
  const rows = examples.map((each, index) => ({ ...each, index })).reverse();
  return html`<${Table} name=${name} rows=${rows} id=${(/** @type {{index: number}} */ each) => each.index} columns=${[
    { label: "Question", cell: (/** @type {Example} */ each) => html`<span class="long">${each.question}</span>`, kind: "wide" },
    { label: "Its neighbour", cell: (/** @type {Example} */ each) => html`<a class="long" href=${changed({ entry: each.name })}>${each.neighbour || "(no text)"}</a>`, kind: "wide" },
    { label: "Similarity", cell: (/** @type {Example} */ each) => number(each.similarity, 3), kind: "number" },
    { label: "Verdict", cell: (/** @type {Example} */ each) => meaning(each.what), kind: "wide" },
    ...(reported ? [{ label: "Report", cell: (/** @type {Example} */ each) => html`<${Report} name=${each.name} reported=${reported} />` }] : []),
  ]} />`;
}

/** `call` is the id of the call that was given the answer. @param {{name: string, call?: string, reported?: (text: string) => void}} props */
export function Report({ name, call, reported }) {
  const act = async () => {
    const { removed } = await post(`cache/entries/${encodeURIComponent(name)}:report`, { bad: true, ...(call && { request_id: call }) });
    const text = removed ? "The answer is removed, and counts as a wrong hit of its route." : "It counts as a wrong hit of its route; the answer was gone already.";
    reported?.(text);
    return text;
  };
  return html`<${Confirmed} label="Report as wrong" question="Report the kept answer as wrong? It is removed everywhere, and its route may have to learn anew." verb="Report" act=${act} />`;
}
