// From an id that somebody was given to the call.
import { get, Refused } from "./api.js";
import { go, to, toCall } from "./location.js";

const TRACE = /^(?:00-)?([0-9a-f]{32})(?:-[0-9a-f]{16}-[0-9a-f]{2})?$/i;

/** Goes to the call of a request id, trace id or traceparent. Gives what to say if there is none. @param {string} text */
export async function find(text) {
  const wanted = text.trim();
  if (!wanted) return "";
  const trace = TRACE.exec(wanted)?.[1].toLowerCase();
  try {
    if (trace) {
      const { calls } = await get("calls", { trace_id: trace, limit: 2 });
      if (calls.length > 1) go(to("calls", { trace_id: trace, since: 0 }));
      else if (calls.length === 1) go(toCall(calls[0].id));
      if (calls.length) return "";
    }
    await get(`calls/${encodeURIComponent(wanted)}`);
    go(toCall(wanted));
    return "";
  } catch (error) {
    if (error instanceof Refused && error.status === 404) return "There is no record of such a call.";
    return /** @type {Error} */ (error).message;
  }
}
