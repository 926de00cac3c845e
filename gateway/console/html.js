// Templates: html`<p>${text}</p>`. What is put in is text or an element, never markup.
import { h } from "./vendor/preact.js";
import htm from "./vendor/htm.js";

/** @type {(strings: TemplateStringsArray, ...values: unknown[]) => any} */
export const html = htm.bind(h);
