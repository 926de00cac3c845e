// Names and values, as they are.
import { isValidElement } from "./vendor/preact.js";
import { html } from "./html.js";

/** What is null is left out. @param {{fields: Record<string, unknown>}} props */
export function Fields({ fields }) {
  const known = Object.entries(fields).filter(([, value]) => value != null && value !== "" && !(Array.isArray(value) && !value.length));
  return html`<dl class="fields-list">${known.map(([name, value]) => html`<div key=${name}><dt>${name.includes(".") ? name : name.replaceAll("_", " ")}</dt><dd>${shown(value)}</dd></div>`)}</dl>`;
}

/** @param {unknown} value */
function shown(value) {
  if (isValidElement(value) || (Array.isArray(value) && value.some(isValidElement))) return value;
  if (Array.isArray(value) && value.every((each) => typeof each !== "object")) return value.join(", ");
  return typeof value === "object" ? text(value) : String(value);
}

/** JSON as people read it, exact numbers included. @param {unknown} value */
export function text(value) {
  const raw = /** @type {any} */ (JSON).rawJSON ?? String;
  return JSON.stringify(value, (_, each) => (typeof each === "bigint" ? raw(each.toString()) : each), 2);
}
