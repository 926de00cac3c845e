// A choice that is kept in the address.
import { html } from "./html.js";
import { changed, go } from "./location.js";

/** @param {{label: string, name: string, value: string, choices: string[][]}} props */
export function Choice({ label, name, value, choices }) {
  return html`<label class="choice">${label} <select value=${value} onChange=${(/** @type {Event} */ event) => go(changed({ [name]: /** @type {HTMLSelectElement} */ (event.currentTarget).value }))}>
    ${choices.map(([each, shown]) => html`<option key=${each} value=${each}>${shown.replaceAll("_", " ")}</option>`)}</select></label>`;
}
