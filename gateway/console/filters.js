// The filters of calls: in the address by the names that the API has for them.
import { useState } from "./vendor/hooks.js";
import { html } from "./html.js";
import { changed, go, place } from "./location.js";
import { OUTCOMES } from "./outcome.js";

/** name, label, choices. The first ones are always on show. @type {[string, string, string[]?][]} */
const FILTERS = [
  ["text", "Text"],
  ["model", "Model"],
  ["tenant", "Tenant"],
  ["status", "Status"],
  ["outcome", "Outcome", Object.keys(OUTCOMES)],
  ["org", "Organisation"],
  ["team", "Team"],
  ["key_id", "Key id"],
  ["user", "End user"],
  ["tag", "Tag"],
  ["route", "Route"],
  ["deployment", "Deployment"],
  ["provider", "Provider"],
  ["error_code", "Error code"],
  ["cache", "Cache", ["hit", "semantic-hit", "miss", "bypass"]],
  ["stream", "Stream", ["true", "false"]],
  ["conversation", "Conversation"],
  ["trace_id", "Trace id"],
  ["min_ms", "At least, ms"],
  ["max_ms", "At most, ms"],
  ["min_cost_usd", "At least, USD"],
  ["max_cost_usd", "At most, USD"],
];
const ALWAYS = 5;
const NUMBERS = new Set(["min_ms", "max_ms", "min_cost_usd", "max_cost_usd"]);
const HINTS = /** @type {Record<string, string>} */ ({ status: "429 or 5xx", text: "error, tag, model, template, user, content" });

/** The filters that the address has. @returns {Record<string, string>} */
export function chosenFilters() {
  const params = place.value.params;
  return Object.fromEntries(FILTERS.map(([name]) => [name, params.get(name) ?? ""]).filter(([, value]) => value));
}

export function Filters() {
  const chosen = chosenFilters();
  const hidden = FILTERS.slice(ALWAYS);
  const [isOpen, open] = useState(hidden.some(([name]) => chosen[name]));
  const submit = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    apply(/** @type {HTMLFormElement} */ (event.currentTarget));
  };
  return html`<form class="filters" onSubmit=${submit} aria-label="Filters" key=${JSON.stringify(chosen)}
      onChange=${(/** @type {Event} */ event) => event.target instanceof HTMLSelectElement && apply(/** @type {HTMLFormElement} */ (event.currentTarget))}>
    <div class="fields">
      ${FILTERS.slice(0, ALWAYS).map((each) => html`<${Field} key=${each[0]} filter=${each} value=${chosen[each[0]]} />`)}
      <button class="primary">Filter</button>
      <button type="button" aria-expanded=${String(isOpen)} aria-controls="more-filters" onClick=${() => open(!isOpen)}>${isOpen ? "Fewer" : "More"} filters</button>
    </div>
    <div class="fields" id="more-filters" hidden=${!isOpen}>
      ${hidden.map((each) => html`<${Field} key=${each[0]} filter=${each} value=${chosen[each[0]]} />`)}
    </div>
  </form>
  <${Chips} chosen=${chosen} />`;
}

/** @param {{filter: [string, string, string[]?], value?: string}} props */
function Field({ filter: [name, label, choices], value = "" }) {
  if (choices) {
    const all = value && !choices.includes(value) ? [...choices, value] : choices;
    return html`<label>${label}<select name=${name}><option value="" selected=${!value}>any</option>
      ${all.map((each) => html`<option key=${each} value=${each} selected=${each === value}>${each.replaceAll("_", " ")}</option>`)}</select></label>`;
  }
  const isNumber = NUMBERS.has(name);
  return html`<label>${label}<input name=${name} defaultValue=${value} placeholder=${HINTS[name]} type=${isNumber ? "number" : "text"}
    min=${isNumber ? 0 : undefined} step=${isNumber ? "any" : undefined} spellcheck=${false} autocomplete="off" /></label>`;
}

/** @param {{chosen: Record<string, string>}} props */
function Chips({ chosen }) {
  const names = Object.keys(chosen);
  if (!names.length) return null;
  const labels = new Map(FILTERS.map(([name, label]) => [name, label]));
  return html`<ul class="chips" aria-label="Filters in force">
    ${names.map((name) => html`<li key=${name}><a href=${changed({ [name]: null, before: null })} aria-label=${`Without ${labels.get(name)} ${chosen[name]}`}>
      <span class="quiet">${labels.get(name)}</span> ${chosen[name]} <span aria-hidden="true">×</span></a></li>`)}
    <li><a href=${changed({ ...Object.fromEntries(names.map((name) => [name, null])), before: null })}>Clear all</a></li>
  </ul>`;
}

/** @param {HTMLFormElement} form */
function apply(form) {
  const given = new FormData(form);
  const changes = Object.fromEntries(FILTERS.map(([name]) => [name, String(given.get(name) ?? "").trim() || null]));
  go(changed({ ...changes, before: null }));
}
