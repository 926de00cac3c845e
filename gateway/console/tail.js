// Calls as they end, from the admin API's stream.
import { useEffect, useState } from "./vendor/hooks.js";
import { events, parse } from "./api.js";

const MOST = 200;
const PAINT_MS = 250;
const AGAIN_MS = 2000;

/** The latest calls that fit the filters, newest first, as long as the component is shown.
 * @param {Record<string, string>} filters */
export function useTail(filters) {
  const [tail, setTail] = useState({ calls: /** @type {import("./types.js").Call[]} */ ([]), missed: 0 });
  const [state, setState] = useState("connecting …");
  useEffect(() => {
    const leaving = new AbortController();
    /** @type {import("./types.js").Call[]} */
    let fresh = [];
    let missed = 0;
    const paint = setInterval(() => {
      if (!fresh.length && !missed) return;
      const [newest, lost] = [fresh.reverse(), missed];
      [fresh, missed] = [[], 0];
      setTail((before) => ({ calls: [...newest, ...before.calls].slice(0, MOST), missed: before.missed + lost }));
    }, PAINT_MS);
    const hear = async () => {
      for await (const { event, data } of events("calls:tail", filters, leaving.signal)) {
        if (event === "open") setState("live");
        if (event === "call") fresh.push(parse(data));
        if (event === "dropped") missed += count(data);
        if (fresh.length > MOST) missed += fresh.splice(0, fresh.length - MOST).length;
      }
    };
    const listen = async () => {
      while (!leaving.signal.aborted) {
        try {
          await hear();
          setState("The stream ended; connecting again …");
        } catch (error) {
          if (leaving.signal.aborted) return;
          setState(`${/** @type {Error} */ (error).message} Connecting again …`);
        }
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      }
    };
    listen();
    return () => {
      leaving.abort();
      clearInterval(paint);
    };
  }, []);
  return { ...tail, state };
}

/** `3`, or an object with a count. @param {string} data */
function count(data) {
  const given = parse(data);
  return typeof given === "number" ? given : Number(given?.count ?? given?.dropped ?? 0);
}
