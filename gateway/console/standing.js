// How a candidate stands, and what is known of its loss.
import { brief } from "./format.js";
import { html } from "./html.js";

const LOOKS = /** @type {Record<string, [string, string]>} */ ({
  certified: ["good", "it has shown that it may answer"],
  uncertified: ["plain", "it has not shown yet that it may answer"],
  refused: ["warned", "it was shown to lose more than is allowed"],
  revoked: ["bad", "it was certified, and has become worse"],
});
const [WIDTH, HEIGHT] = [180, 14];

/** @param {{standing: string, more?: string}} props */
export function Standing({ standing, more = "" }) {
  const [look, meaning] = Object.hasOwn(LOOKS, standing) ? LOOKS[standing] : ["plain", ""];
  return html`<span class="outcome ${look}" title=${meaning}>${brief(standing, 20)}${more}</span>`;
}

/** The interval of the loss, and the most that is allowed. @param {{certificate: import("./types.js").Certificate}} props */
export function Loss({ certificate: { labels, least_loss, mean_loss, most_loss, max_loss } }) {
  const told = labels ? `${share(mean_loss)}, from ${share(least_loss)} to ${share(most_loss)}; allowed: ${share(max_loss)}` : `unknown; allowed: ${share(max_loss)}`;
  const highest = Math.max(2 * max_loss, labels ? most_loss : 0);
  const x = (/** @type {number} */ value) => (WIDTH * value) / highest;
  return html`<span class="loss"><svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label=${`Loss: ${told}`}>
      ${labels > 0 && html`<rect x=${x(least_loss)} y="4" width=${Math.max(2, x(most_loss) - x(least_loss))} height="6" class=${most_loss <= max_loss ? "kept" : ""} />
        <line x1=${x(mean_loss)} x2=${x(mean_loss)} y1="2" y2="12" />`}
      <line class="allowed" x1=${x(max_loss)} x2=${x(max_loss)} y1="0" y2=${HEIGHT} />
    </svg> <small>${told}</small></span>`;
}

/** A share such as 0.0143, in percent to three digits. @param {number | null | undefined} value */
export const share = (value) => (value == null ? "–" : `${Number((100 * value).toPrecision(3))} %`);
