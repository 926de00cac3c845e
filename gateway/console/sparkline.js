// A small line without axes, beside a figure that says what it is.
import { html } from "./html.js";

const WIDTH = 120;
const HEIGHT = 28;

/** `values` in the order of time; null is a gap. @param {{values: (number | null | undefined)[]}} props */
export function Sparkline({ values }) {
  const most = Math.max(0, ...values.map((each) => each ?? 0));
  const path = most > 0 ? line(values, most) : `M0 ${HEIGHT - 1}H${WIDTH}`;
  return html`<svg class="sparkline" viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" aria-hidden="true" focusable="false">
    <path d=${path} vector-effect="non-scaling-stroke" />
  </svg>`;
}

/** @param {(number | null | undefined)[]} values @param {number} most */
function line(values, most) {
  const step = WIDTH / Math.max(1, values.length - 1);
  let path = "";
  let isDrawing = false;
  values.forEach((value, index) => {
    if (value != null) {
      path += `${isDrawing ? "L" : "M"}${(index * step).toFixed(1)} ${(HEIGHT - 1 - (value / most) * (HEIGHT - 3)).toFixed(1)}`;
      if (!isDrawing && values[index + 1] == null) path += "m-1 0h2";
    }
    isDrawing = value != null;
  });
  return path;
}
