// How often each similarity was met, with the threshold from which answers are served.
import { count } from "./format.js";
import { html } from "./html.js";

const [WIDTH, HEIGHT] = [520, 150];
const EDGE = { top: 16, right: 12, bottom: 20, left: 12 };
const MARKS = 0.1;

/** `bins` are pairs of where a bin begins and how many are in it, all of one width.
 * @param {{label: string, bins: [number, number][], threshold: number | null}} props */
export function Histogram({ label, bins, threshold }) {
  const lowest = bins[0][0];
  const step = (bins[bins.length - 1][0] - lowest) / (bins.length - 1);
  const highest = lowest + step * bins.length;
  const most = Math.max(1, ...bins.map(([, times]) => times));
  const x = (/** @type {number} */ value) => EDGE.left + ((value - lowest) / (highest - lowest)) * (WIDTH - EDGE.left - EDGE.right);
  const y = (/** @type {number} */ times) => EDGE.top + (1 - times / most) * (HEIGHT - EDGE.top - EDGE.bottom);
  const marks = Array.from({ length: Math.floor((highest - lowest) / MARKS + 1e-6) + 1 }, (_, each) => lowest + each * MARKS);
  const line = threshold == null ? 0 : Math.max(EDGE.left, x(threshold)); // one set by hand may be lower than all bins
  const isLeft = line < WIDTH / 3;
  const all = bins.reduce((sum, [, times]) => sum + times, 0);
  const told = `${label}: ${count(all)} in all, ${threshold == null ? "no threshold yet" : `threshold at ${threshold}`}`;
  return html`<figure class="histogram"><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label=${told}>
      <line class="base" x1=${EDGE.left} x2=${WIDTH - EDGE.right} y1=${y(0)} y2=${y(0)} />
      ${bins.map(([value, times]) => times > 0 && html`<rect key=${value} class=${threshold != null && value >= threshold - 1e-6 ? "served" : ""} x=${x(value) + 1} y=${y(times)} width=${x(value + step) - x(value) - 2} height=${y(0) - y(times)}>
        <title>${value.toFixed(2)} to ${(value + step).toFixed(2)}: ${count(times)}</title></rect>`)}
      ${marks.map((value) => html`<text key=${value} x=${x(value)} y=${HEIGHT - 5} text-anchor="middle">${value.toFixed(1)}</text>`)}
      ${threshold != null && html`<line class="threshold" x1=${line} x2=${line} y1=${EDGE.top - 4} y2=${y(0)} />
        <text class="threshold" x=${line + (isLeft ? 5 : -5)} y=${EDGE.top - 4} text-anchor=${isLeft ? "start" : "end"}>served from ${threshold} on</text>`}
    </svg><figcaption>${told}</figcaption></figure>`;
}
