// Copying to the clipboard, also where the page came over plain HTTP.
import { useEffect, useState } from "./vendor/hooks.js";
import { html } from "./html.js";

/** @param {{label: string, text: string}} props */
export function Copy({ label, text }) {
  const [said, say] = useState("");
  useEffect(() => {
    const timer = said ? setTimeout(() => say(""), 1500) : undefined;
    return () => clearTimeout(timer);
  }, [said]);
  return html`<button type="button" class="copy" data-copies=${text}
    onClick=${async () => say((await copied(text)) ? "copied" : "could not copy")}>
    <span aria-live="polite">${said || label}</span></button>`;
}

/** @param {string} text */
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copiedBySelection(text);
  }
}

/** @param {string} text */
function copiedBySelection(text) {
  const area = document.createElement("textarea");
  const before = /** @type {HTMLElement | null} */ (document.activeElement);
  area.value = text;
  area.className = "off-screen";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  before?.focus();
  return done;
}
