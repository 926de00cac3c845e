// A button that asks once more before it does what cannot be undone.
import { useEffect, useRef, useState } from "./vendor/hooks.js";
import { html } from "./html.js";
import { refresh } from "./range.js";

/** `verb` is on the second button; `act` does it and gives what to say of it; `then` is done afterwards.
 * @param {{label: string, question: string, verb: string, act: () => Promise<string>, then?: () => void}} props */
export function Confirmed({ label, question, verb, act, then = () => {} }) {
  const [state, setState] = useState(/** @type {"calm" | "asking" | "busy"} */ ("calm"));
  const [said, say] = useState("");
  const [failure, fail] = useState("");
  const sure = useRef(/** @type {HTMLButtonElement | null} */ (null));
  const first = useRef(/** @type {HTMLButtonElement | null} */ (null));
  useEffect(() => {
    if (state === "asking") sure.current?.focus();
  }, [state]);
  const calm = () => {
    setState("calm");
    setTimeout(() => first.current?.focus());
  };
  const order = async () => {
    setState("busy");
    fail("");
    try {
      say(await act());
      then();
      refresh();
    } catch (error) {
      fail(error instanceof Error ? error.message : String(error));
    }
    calm();
  };
  return html`<div class="confirmed" onKeyDown=${(/** @type {KeyboardEvent} */ event) => event.key === "Escape" && state === "asking" && calm()}>
    ${state === "calm" ? html`<button type="button" ref=${first} onClick=${() => { say(""); setState("asking"); }}>${label} …</button>`
      : html`<span>${question}</span> <button type="button" class="danger" ref=${sure} disabled=${state === "busy"} onClick=${order}>${verb}</button>
        <button type="button" disabled=${state === "busy"} onClick=${calm}>Cancel</button>`}
    <span role="status">${said}</span>${failure && html`<span class="failure" role="alert">${failure}</span>`}</div>`;
}
