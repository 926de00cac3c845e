// Where the admin key is typed.
import { useState } from "../vendor/hooks.js";
import { isRight } from "../api.js";
import { Exposure } from "../exposure.js";
import { html } from "../html.js";
import { enter, refusal } from "../session.js";

export function Login() {
  const [failure, fail] = useState("");
  const [isAsking, ask] = useState(false);
  const submit = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const form = /** @type {HTMLFormElement} */ (event.currentTarget);
    const shown = String(new FormData(form).get("key") ?? "").trim();
    ask(true);
    try {
      if (shown && (await isRight(shown))) return enter(shown);
      fail(shown.startsWith("sk-llmgw-") && !shown.startsWith("sk-llmgw-admin-")
        ? "That is a virtual key, for applications. The console needs the admin key."
        : "That is not the admin key of this gateway. It is LLMGW_ADMIN_KEY, or the one that `llmgw serve` printed.");
    } catch (error) {
      fail(/** @type {Error} */ (error).message);
    } finally {
      ask(false);
    }
    form.querySelector("input")?.select();
    return undefined;
  };
  const message = failure || refusal.value;
  return html`<main class="login">
    <${Exposure} />
    <form onSubmit=${submit}>
      <h1><span class="brand">llmgw</span> console</h1>
      <label for="key">Admin key</label>
      <input id="key" name="key" type="password" required autocomplete="off" spellcheck=${false} autofocus
        aria-invalid=${message ? "true" : "false"} aria-describedby="key-note" />
      <p id="key-note" class=${message ? "failure" : "quiet"} role=${message ? "alert" : undefined}>
        ${message || "It stays in this tab, until the tab is closed."}</p>
      <button class="primary" disabled=${isAsking}>${isAsking ? "Asking …" : "Open"}</button>
    </form>
  </main>`;
}
