// The kept answers: found by their marks, looked into, forgotten.
import { useEffect, useRef } from "./vendor/hooks.js";
import { parse, post } from "./api.js";
import { Confirmed } from "./confirmed.js";
import { Copy } from "./copy.js";
import { Fields, text as asText } from "./fields.js";
import { ago, brief, bytes, count, duration, iso, roughUsd, usd } from "./format.js";
import { html } from "./html.js";
import { Answer, useAnswer } from "./loading.js";
import { changed, go, place } from "./location.js";
import { Table } from "./table.js";

/** @typedef {import("./types.js").Kept} Kept */

const MARKS = [["org", "Organisation"], ["team", "Team"], ["key_id", "Key id"], ["model", "Model"], ["route", "Route"], ["template", "Template"], ["tag", "Tag"]];

export function Entries() {
  const params = place.value.params;
  const chosen = Object.fromEntries(MARKS.map(([name]) => [name, params.get(name) ?? ""]).filter(([, value]) => value));
  const after = params.get("after");
  const name = params.get("entry");
  const answer = useAnswer("cache/entries", () => ({ ...chosen, after }), [chosen, after]);
  /** @type {Kept[]} */
  const entries = answer.data?.entries ?? [];
  return html`<section><h2>Kept answers <small>as they are now</small></h2>
      <${Marks} chosen=${chosen} />
      <${Forget} key=${JSON.stringify(chosen)} marks=${chosen} />
      <${Answer} answer=${answer} isEmpty=${!entries.length && !answer.data?.after} empty="No answer is kept that has these marks.">
        <${Table} name="Kept answers" rows=${entries} id=${(/** @type {Kept} */ each) => each.name} columns=${[
          { label: "Answer", cell: (/** @type {Kept} */ each) => html`<a href=${changed({ entry: each.name })} aria-current=${each.name === name ? "true" : undefined}>${each.id}</a>` },
          { label: "Made", cell: (/** @type {Kept} */ each) => ago(each.created), title: (/** @type {Kept} */ each) => iso(each.created), kind: "number" },
          { label: "Expires", cell: (/** @type {Kept} */ each) => ago(each.expires), title: (/** @type {Kept} */ each) => iso(each.expires), kind: "number" },
          { label: "For", cell: (/** @type {Kept} */ each) => brief(each.team ? `${each.org}/${each.team}` : each.org), title: (/** @type {Kept} */ each) => `${each.org}/${each.team ?? ""}`, kind: "wide" },
          { label: "Model", cell: (/** @type {Kept} */ each) => brief(each.model), kind: "wide" },
          { label: "Route", cell: (/** @type {Kept} */ each) => brief(each.route), kind: "wide" },
          { label: "Tags", cell: (/** @type {Kept} */ each) => brief(each.tags.join(", ")), title: (/** @type {Kept} */ each) => each.tags.join(", "), kind: "wide" },
          { label: "Size", cell: (/** @type {Kept} */ each) => bytes(each.bytes), kind: "number" },
          { label: "A hit saves", cell: (/** @type {Kept} */ each) => roughUsd(each.cost_nano_usd), title: (/** @type {Kept} */ each) => usd(each.cost_nano_usd), kind: "number" },
        ]} />
      </${Answer}>
      <nav class="pager" aria-label="Pages of kept answers">
        ${after && html`<a href=${changed({ after: null })}>First</a>`}
        <span class="quiet" role="status">${answer.data ? `${count(entries.length)} answers${answer.data.after ? "" : ", and no more"}` : ""}</span>
        ${answer.data?.after && html`<a class="next" rel="next" href=${changed({ after: answer.data.after })}>More</a>`}
      </nav>
    </section>
    ${name && html`<${Inspector} key=${name} name=${name} />`}`;
}

/** @param {{chosen: Record<string, string>}} props */
function Marks({ chosen }) {
  const submit = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const given = new FormData(/** @type {HTMLFormElement} */ (event.currentTarget));
    const changes = Object.fromEntries(MARKS.map(([name]) => [name, String(given.get(name) ?? "").trim() || null]));
    go(changed({ ...changes, after: null, entry: null }));
  };
  return html`<form onSubmit=${submit} aria-label="Marks" key=${JSON.stringify(chosen)}><div class="fields">
    ${MARKS.map(([name, label]) => html`<label key=${name}>${label}<input name=${name} defaultValue=${chosen[name] ?? ""} spellcheck=${false} autocomplete="off" /></label>`)}
    <button class="primary">Find</button></div></form>`;
}

/** Forgets what has the marks, or everything where none is chosen. @param {{marks: Record<string, string>}} props */
function Forget({ marks }) {
  const words = Object.entries(marks).map(([name, value]) => `${name.replaceAll("_", " ")} ${brief(value, 40)}`);
  const what = words.length ? `all with ${words.join(", ")}` : "everything";
  return html`<${Confirmed} label=${words.length ? "Forget all that have these marks" : "Forget everything"} question=${`Forget ${what}? No worker uses these answers a second later.`} verb="Forget" act=${() => forget(words.length ? marks : { all: true })} />`;
}

/** @param {{name: string}} props */
function Inspector({ name }) {
  const answer = useAnswer(`cache/entries/${encodeURIComponent(name)}`, () => ({}), [name]);
  const heading = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => heading.current?.focus(), []);
  /** @type {Kept | null} */
  const entry = answer.data;
  return html`<section aria-label="One kept answer"><h2 tabindex="-1" ref=${heading}>Kept answer ${entry?.id ?? ""}<a class="more" href=${changed({ entry: null })}>close</a></h2>
    <${Answer} answer=${answer}>${entry && html`
      <${Confirmed} label="Forget this answer" question="Forget this answer? The next call like it is asked for anew." verb="Forget" act=${() => forget({ entry: entry.id })} then=${() => go(changed({ entry: null }))} />
      <${Fields} fields=${{
        made: `${iso(entry.created)} (${ago(entry.created)})`, expires: `${iso(entry.expires)} (${ago(entry.expires)})`, operation: entry.operation,
        organisation: entry.org, team: entry.team, key_id: entry.key_id, model: entry.model, route: entry.route, template: entry.template, tags: entry.tags,
        size: bytes(entry.bytes), a_hit_saves: `${usd(entry.cost_nano_usd)} and ${duration(entry.took_ms)}`, name: entry.name,
      }} />
      ${entry.question && html`<h3>Question</h3><pre tabindex="0">${entry.question}</pre>`}
      <h3>Answer</h3><${Copy} label="Copy answer" text=${entry.document ?? ""} /><pre tabindex="0">${pretty(entry.document ?? "")}</pre>`}
    </${Answer}></section>`;
}

/** Gives the order to forget, and what became of it. @param {Record<string, unknown>} body */
async function forget(body) {
  const done = await post("cache:purge", body);
  return `Order ${done.number}: ${count(done.removed)} answers are removed${done.is_removing ? ", and more will be" : ""}.`;
}

/** @param {string} document */
function pretty(document) {
  try {
    return asText(parse(document));
  } catch {
    return document;
  }
}
