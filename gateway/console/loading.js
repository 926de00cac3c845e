// What a page asks the API for, kept on show while it is asked for again.
import { useEffect, useState } from "./vendor/hooks.js";
import { get } from "./api.js";
import { html } from "./html.js";
import { tick } from "./range.js";

/** Asks anew when `ask` or `inputs` change and on every tick; `ask` makes the parameters when asking, null for "do not ask".
 * @param {string} path @param {() => import("./api.js").Params | null} ask @param {unknown[]} inputs
 * @returns {{data: any, error: Error | null, isLoading: boolean}} */
export function useAnswer(path, ask, inputs) {
  const [state, setState] = useState({ of: "", data: null, error: /** @type {Error | null} */ (null), isLoading: true });
  const of = JSON.stringify([path, inputs]);
  const now = tick.value;
  useEffect(() => {
    const params = ask();
    if (params === null) return undefined;
    const leaving = new AbortController();
    setState((before) => ({ ...before, isLoading: true }));
    get(path, params, leaving.signal).then(
      (data) => setState({ of, data, error: null, isLoading: false }),
      (error) => {
        if (!leaving.signal.aborted) setState((before) => ({ ...before, of, error, isLoading: false }));
      },
    );
    return () => leaving.abort();
  }, [of, now]);
  const isStale = state.of !== of;
  return { data: state.data, error: isStale ? null : state.error, isLoading: state.isLoading || isStale };
}

/** What stands in for an answer that is not there: the failure, a wait, or that there is nothing.
 * @param {{answer: {data: any, error: Error | null, isLoading: boolean}, isEmpty?: boolean, empty?: any, children?: any}} props */
export function Answer({ answer, isEmpty = false, empty = "Nothing in this time range.", children }) {
  if (answer.error) return html`<p class="failure" role="alert">${answer.error.message}</p>`;
  if (!answer.data) return html`<p class="quiet" aria-busy="true">Loading …</p>`;
  if (isEmpty) return html`<p class="quiet">${empty}</p>`;
  return html`<div class=${answer.isLoading ? "refreshing" : ""}>${children}</div>`;
}
