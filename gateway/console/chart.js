// Figures over time, as lines or stacked bars. Pointing reads values; dragging chooses a time range.
import { useEffect, useMemo, useRef, useState } from "./vendor/hooks.js";
import { brief, shortMoment } from "./format.js";
import { html } from "./html.js";
import { changed, go } from "./location.js";

const HEIGHT = 190;
const EDGE = { top: 8, right: 8, bottom: 20, left: 62 };

/** @typedef {{name: string, values: (number | null)[]}} Series */
/** @typedef {{label: string, times: number[], step: number, series: Series[], format: (value: number) => string,
 *   bars?: boolean}} ChartProps */

/** `times` are the UTC seconds of the values. @param {ChartProps} props */
export function Chart({ label, times, step, series, format, bars = false }) {
  const box = useRef(/** @type {HTMLDivElement | null} */ (null));
  const width = useWidth(box);
  const [pointed, point] = useState(/** @type {number | null} */ (null));
  const [drag, setDrag] = useState(/** @type {number | null} */ (null));
  const scale = useMemo(() => scales({ times, step, series, bars, width }), [times, step, series, bars, width]);
  const nearest = (/** @type {PointerEvent} */ event) => {
    const left = event.clientX - (box.current?.getBoundingClientRect().left ?? 0);
    return times.length ? Math.max(0, Math.min(times.length - 1, Math.round(scale.index(left)))) : null;
  };
  const release = (/** @type {PointerEvent} */ event) => {
    const until = nearest(event);
    if (drag != null && until != null && drag !== until) {
      const [first, last] = [Math.min(drag, until), Math.max(drag, until)];
      go(changed({ range: null, since: times[first], until: times[last] + step, before: null }));
    }
    setDrag(null);
  };
  return html`<figure class="chart">
    <div ref=${box} class="plot" onPointerMove=${(/** @type {PointerEvent} */ event) => point(nearest(event))}
      onPointerLeave=${() => { point(null); setDrag(null); }}
      onPointerDown=${(/** @type {PointerEvent} */ event) => setDrag(nearest(event))} onPointerUp=${release}>
      <svg width=${width} height=${HEIGHT} role="img" aria-label=${label}>
        ${scale.ticks.map((tick) => html`<g key=${tick}>
          <line class="grid" x1=${EDGE.left} x2=${width - EDGE.right} y1=${scale.y(tick)} y2=${scale.y(tick)} />
          <text class="axis" x=${EDGE.left - 6} y=${scale.y(tick) + 4} text-anchor="end">${format(tick)}</text></g>`)}
        ${scale.dates.map((index) => html`<text key=${index} class="axis" x=${scale.x(index)} y=${HEIGHT - 5} text-anchor="middle">${axisTime(times[index], step)}</text>`)}
        ${drag != null && pointed != null && html`<rect class="drag" x=${scale.x(Math.min(drag, pointed))} y=${EDGE.top}
          width=${Math.abs(scale.x(drag) - scale.x(pointed))} height=${HEIGHT - EDGE.top - EDGE.bottom} />`}
        ${pointed != null && html`<line class="pointer" x1=${scale.x(pointed)} x2=${scale.x(pointed)} y1=${EDGE.top} y2=${HEIGHT - EDGE.bottom} />`}
        ${series.map((each, index) => (bars
          ? html`<path key=${each.name} class="bar series-${index % 8}" d=${barPath(index, series, scale)} />`
          : html`<path key=${each.name} class="line series-${index % 8}" d=${linePath(each.values, scale)} />`))}
      </svg>
    </div>
    <figcaption>
      <span class="when">${pointed == null ? label : shortMoment(times[pointed])}</span>
      ${series.map((each, index) => html`<span key=${each.name} class="key series-${index % 8}" title=${each.name}>
        ${brief(each.name, 32)}${pointed != null && html` <b>${each.values[pointed] == null ? "–" : format(/** @type {number} */ (each.values[pointed]))}</b>`}</span>`)}
    </figcaption>
  </figure>`;
}

/** @param {{current: HTMLElement | null}} box */
function useWidth(box) {
  const [width, setWidth] = useState(600);
  useEffect(() => {
    const watcher = new ResizeObserver(([entry]) => setWidth(Math.max(200, Math.floor(entry.contentRect.width))));
    if (box.current) watcher.observe(box.current);
    return () => watcher.disconnect();
  }, []);
  return width;
}

/** @param {{times: number[], step: number, series: Series[], bars: boolean, width: number}} given */
function scales({ times, series, bars, width }) {
  const tops = times.map((_, index) => {
    const values = series.map((each) => each.values[index] ?? 0);
    return bars ? values.reduce((sum, each) => sum + each, 0) : Math.max(0, ...values);
  });
  const most = roundUp(Math.max(0, ...tops));
  const across = width - EDGE.left - EDGE.right;
  const slot = across / Math.max(1, bars ? times.length : times.length - 1);
  const start = EDGE.left + (bars ? slot / 2 : 0);
  const labels = Math.max(1, Math.min(6, Math.floor(across / 110)));
  return {
    slot,
    x: (/** @type {number} */ index) => start + index * slot,
    y: (/** @type {number} */ value) => EDGE.top + (1 - value / most) * (HEIGHT - EDGE.top - EDGE.bottom),
    index: (/** @type {number} */ left) => (left - start) / slot,
    ticks: [0, most / 2, most],
    dates: [...new Set(Array.from({ length: labels }, (_, each) => Math.round(((each + 0.5) / labels) * (times.length - 1))))]
      .filter((index) => index >= 0 && index < times.length),
  };
}

/** The next of 1, 2, 4, 5 or 10 times a power of ten. @param {number} value */
function roundUp(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return power * (/** @type {number} */ ([1, 2, 4, 5, 10].find((each) => each * power >= value * 0.999)));
}

/** @param {(number | null)[]} values @param {ReturnType<typeof scales>} scale */
function linePath(values, scale) {
  let path = "";
  values.forEach((value, index) => {
    if (value == null) return;
    const goesOn = index > 0 && values[index - 1] != null;
    const isAlone = !goesOn && values[index + 1] == null;
    path += `${goesOn ? "L" : "M"}${scale.x(index).toFixed(1)} ${scale.y(value).toFixed(1)}${isAlone ? "m-1.5 0h3" : ""}`;
  });
  return path;
}

/** @param {number} index @param {Series[]} series @param {ReturnType<typeof scales>} scale */
function barPath(index, series, scale) {
  const width = Math.max(1, scale.slot * 0.8);
  let path = "";
  series[index].values.forEach((value, time) => {
    if (!value) return;
    const below = series.slice(0, index).reduce((sum, each) => sum + (each.values[time] ?? 0), 0);
    const top = scale.y(below + value);
    path += `M${(scale.x(time) - width / 2).toFixed(1)} ${top.toFixed(1)}h${width.toFixed(1)}V${scale.y(below).toFixed(1)}h${(-width).toFixed(1)}z`;
  });
  return path;
}

/** @param {number} at @param {number} step */
function axisTime(at, step) {
  const time = new Date(at * 1000);
  const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
  const day = `${two(time.getMonth() + 1)}-${two(time.getDate())}`;
  return step >= 86_400 ? day : step >= 3600 ? `${day} ${two(time.getHours())}:00` : `${two(time.getHours())}:${two(time.getMinutes())}`;
}
