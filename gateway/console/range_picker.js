// The choice of the time range.
import { useState } from "./vendor/hooks.js";
import { html } from "./html.js";
import { changed, go, place } from "./location.js";
import { bounds, range, RANGES } from "./range.js";

export function RangePicker() {
  const [isOpen, open] = useState(false);
  const current = range.value.name;
  const isShown = isOpen || current === "custom";
  return html`<div class="ranges" role="group" aria-label="Time range">
    ${RANGES.map((each) => html`<a key=${each.name} href=${changed({ range: each.name, since: null, until: null, before: null })}
      aria-current=${each.name === current ? "true" : undefined} onClick=${() => open(false)}>${each.label}</a>`)}
    <button type="button" aria-pressed=${String(current === "custom")} aria-expanded=${String(isShown)} onClick=${() => open(!isOpen)}>Custom</button>
    ${isShown && html`<${Custom} key=${place.value.params.get("since")} />`}
  </div>`;
}

function Custom() {
  const { since, until } = bounds();
  const submit = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const given = new FormData(/** @type {HTMLFormElement} */ (event.currentTarget));
    go(changed({ range: null, since: seconds(given.get("since")), until: seconds(given.get("until")), before: null }));
  };
  return html`<form class="custom" onSubmit=${submit}>
    <label>from <input type="datetime-local" name="since" step="1" required defaultValue=${local(since)} /></label>
    <label>to <input type="datetime-local" name="until" step="1" defaultValue=${until == null ? "" : local(until)} /></label>
    <button>Apply</button>
  </form>`;
}

/** UTC seconds as the field shows them, in local time. @param {number} at */
function local(at) {
  const time = new Date(at * 1000);
  return new Date(time.getTime() - time.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

/** @param {FormDataEntryValue | null} text */
const seconds = (text) => (text ? Math.round(new Date(String(text)).getTime() / 1000) : null);
