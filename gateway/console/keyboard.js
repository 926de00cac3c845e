// The keyboard's shortcuts, and the list of them.
import { useEffect, useRef, useState } from "./vendor/hooks.js";
import { html } from "./html.js";
import { go, to } from "./location.js";
import { PAGES } from "./pages/all.js";
import { refresh } from "./range.js";

const KEPT = "llmgw.shortcuts";
const CHORD_MS = 1500;

export function Keyboard() {
  const dialog = useRef(/** @type {HTMLDialogElement | null} */ (null));
  const [isOn, turn] = useState(localStorage.getItem(KEPT) !== "off");
  const chord = useRef(0);
  useEffect(() => {
    const press = (/** @type {KeyboardEvent} */ event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target) || dialog.current?.open) return;
      if (event.key !== "?" && !isOn) return;
      if (act(event, dialog.current, chord)) event.preventDefault();
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, [isOn]);
  const choose = (/** @type {Event} */ event) => {
    const chosen = /** @type {HTMLInputElement} */ (event.currentTarget).checked;
    localStorage.setItem(KEPT, chosen ? "on" : "off");
    turn(chosen);
  };
  return html`<button type="button" aria-label="Keyboard shortcuts" title="Keyboard shortcuts (?)" onClick=${() => dialog.current?.showModal()}>?</button>
    <dialog ref=${dialog} aria-labelledby="shortcuts-title">
      <h2 id="shortcuts-title">Keyboard</h2>
      <dl class="shortcuts">
        ${Object.entries(PAGES).filter(([, each]) => each.letter).map(([name, each]) => html`<div key=${name}><dt><kbd>g</kbd> <kbd>${each.letter}</kbd></dt><dd>${each.title}</dd></div>`)}
        <div><dt><kbd>/</kbd></dt><dd>find a call by its id</dd></div>
        <div><dt><kbd>r</kbd></dt><dd>ask again</dd></div>
        <div><dt><kbd>j</kbd> <kbd>k</kbd></dt><dd>next, previous row of the table</dd></div>
        <div><dt><kbd>Enter</kbd></dt><dd>open the row</dd></div>
        <div><dt><kbd>?</kbd></dt><dd>this list</dd></div>
        <div><dt><kbd>Esc</kbd></dt><dd>close it</dd></div>
      </dl>
      <label class="check"><input type="checkbox" checked=${isOn} onChange=${choose} /> single keys do this</label>
      <form method="dialog"><button class="primary">Close</button></form>
    </dialog>`;
}

/** @param {EventTarget | null} target */
const isTyping = (target) => target instanceof HTMLElement && target.matches("input, select, textarea");

/** Whether the key meant something. @param {KeyboardEvent} event @param {HTMLDialogElement | null} dialog @param {{current: number}} chord */
function act(event, dialog, chord) {
  const follows = event.timeStamp - chord.current < CHORD_MS;
  chord.current = event.key === "g" ? event.timeStamp : -CHORD_MS;
  const page = follows && Object.entries(PAGES).find(([, each]) => each.letter === event.key);
  if (page) go(to(page[0]));
  else if (event.key === "?") dialog?.showModal();
  else if (event.key === "/") document.getElementById("find")?.focus();
  else if (event.key === "r") refresh();
  else if (event.key === "j") step(1);
  else if (event.key === "k") step(-1);
  else return false;
  return true;
}

/** Moves the focus to the link of the next row. @param {number} by */
function step(by) {
  const links = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("tr[data-row]")].map((row) => row.querySelector("a, button")).filter(Boolean));
  const at = links.findIndex((link) => link.closest("tr") === document.activeElement?.closest("tr"));
  links[at < 0 ? (by > 0 ? 0 : links.length - 1) : Math.max(0, Math.min(links.length - 1, at + by))]?.focus();
}
