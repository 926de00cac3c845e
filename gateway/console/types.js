// What the admin API gives, as docs/observability.md says. Any field may be null.

/** A number of nano-USD; a bigint where a number would not be exact.
 * @typedef {number | bigint | null | undefined} Money */

/**
 * @typedef {object} Figures
 * @property {number} calls
 * @property {number} errors status 500 and above
 * @property {number} refused status 429
 * @property {number} cache_hits
 * @property {number} input_tokens
 * @property {number} output_tokens
 * @property {number} cached_tokens
 * @property {Money} cost_nano_usd
 * @property {Money} saved_nano_usd
 * @property {number | null} p50_ms
 * @property {number | null} p95_ms
 * @property {number | null} first_byte_p50_ms
 * @property {number | null} first_byte_p95_ms
 * @property {number | null} tokens_per_second
 */

/** @typedef {Figures & {at: number}} Point */
/** @typedef {{by: Record<string, string | null>, total: Figures, points: Point[]}} Group */
/** @typedef {{since: number, until: number, step: number, groups: Group[]}} Stats */

/**
 * @typedef {object} Attempt
 * @property {number} number
 * @property {string | null} deployment
 * @property {string | null} provider
 * @property {string | null} reason
 * @property {number | null} status
 * @property {string | null} error
 * @property {string | null} detail
 * @property {number | null} started_ms
 * @property {number | null} duration_ms
 * @property {number | null} first_byte_ms from the start of the attempt
 * @property {string | null} upstream_request_id
 * @property {string[]} [dropped] what of the call the provider's dialect could not carry
 * @property {string} [because] why its answer was not served
 * @property {boolean} [served] of several answers that were paid
 * @property {number | null} [cost_nano_usd] the same
 */

/** @typedef {{name: string, started_ms: number, duration_ms: number} & Record<string, unknown>} Stage */

/**
 * @typedef {object} Span
 * @property {string} name
 * @property {string | null} kind
 * @property {string} span_id
 * @property {string | null} parent_span_id
 * @property {number} started_ms
 * @property {number} duration_ms
 * @property {string | null} status
 * @property {string | null} error
 * @property {Record<string, unknown> | null} attributes
 */

/** The record of a call; `story` and `spans` come with one call only. @typedef {Record<string, any>} Call */

/** @typedef {{error_code: string | null, provider: string | null, outcome: string | null, count: number,
 *   first_at: number, last_at: number, sample_id: string | null, message: string | null}} ErrorGroup */

/** @typedef {{attempts: number, errors: number, error_codes: Record<string, number>,
 *   other_codes?: Record<string, number>, p50_ms: number | null, p95_ms: number | null}} DeploymentFigures */
/** @typedef {{deployment: string, provider: string, models: string[], resting_until: number | null,
 *   reason: string | null, figures?: DeploymentFigures | null}} Deployment */

/** @typedef {Record<string, any>} Budget */

/** `hits` by kind; `misses` and `bypasses` by reason.
 * @typedef {{calls: number, hits: Record<string, number>, misses: Record<string, number>, bypasses: Record<string, number>,
 *   saved_nano_usd: Money, saved_ms: number}} CacheFigures */
/** @typedef {CacheFigures & {at: number}} CachePoint */
/** @typedef {CacheFigures & {route: string | null, points: CachePoint[]}} CacheRoute */
/** `size` and `orders` are null while the store is away.
 * @typedef {{size: {entries: number, bytes: number, dropped: number} | null, orders: Record<string, string | number>[] | null,
 *   since: number, until: number, step: number, total: CacheFigures, routes: CacheRoute[], points: CachePoint[],
 *   is_complete: boolean}} CacheSummary */

/** A kept answer; `document` and `question` come with one only.
 * @typedef {{name: string, id: string, operation: string, created: number, expires: number, org: string, team: string | null,
 *   key_id: string, model: string, route: string | null, template: string | null, tags: string[], bytes: number,
 *   cost_nano_usd: Money, took_ms: number, is_semantic: boolean, document?: string, question?: string | null}} Kept */

/** Two questions that were near, and what came of it; `name` is the kept answer's.
 * @typedef {{name: string, question: string, neighbour: string, similarity: number, what: string}} Example */
/** What the semantic cache has learnt of one route. `threshold` null: nothing is served.
 * @typedef {{route: string | null, model: string, template: string | null, embedder: string, max_error: number | null, judge: string | null,
 *   state: string, threshold: number | null, hits: number, compared: number, wrong: number, lost: number, labels: number,
 *   labels_to_learn: number, bound: number, confidence: number, this_worker: {reasons: Record<string, number>,
 *   histogram: [number, number][], near_misses: Example[], wrong_examples: Example[]}}} Learnt */
/** @typedef {{is_installed: boolean, routes: Learnt[], unseen: string[], this_worker: {figures: Record<string, number>}}} Meanings */

/** What has been shown of a candidate; `prompt` null: for all calls, or those without a system prompt. Losses are shares.
 * @typedef {{route: string, candidate: string, prompt: string | null, kind: string, reference: string, standing: string, serves: boolean,
 *   since: number | null, why: string, trial: number, labels: number, audited: number, mean_loss: number, least_loss: number,
 *   most_loss: number, max_loss: number, confidence: number, share: number, suspicious: boolean, price_ratio: number | null,
 *   budget: {account: string, limit_nano_usd: Money, spent_nano_usd: Money, left_nano_usd: Money}}} Certificate */
/** What came of asking somebody else a call. @typedef {{request_id: string, candidate: string, asked: string,
 *   reference_quality: number | null, candidate_quality: number | null, reason: string | null}} Trial */

/** What is known of the calls of a version; all null where nothing is. @typedef {{value: number | null, low: number | null, high: number | null}} Figure */
/** `version` null: none that the policy has.
 * @typedef {{version: number | null, hash: string, shadow: boolean, calls: number, rated: number, errors: Figure, latency_p50_ms: Figure,
 *   latency_p95_ms: Figure, cost_nano_usd: Figure, input_tokens: Figure, output_tokens: Figure, cache_hits: Figure, feedback: Figure}} VersionFigures */
/** @typedef {{version: number, hash: string, labels: string[], share: number, stepped_back: {why: string} | null,
 *   evidence: {measure: string, bound: string, evidence: number, needed: number}[]}} TemplateVersion */
/** `since` and `figures` come with one only.
 * @typedef {{template: string, description: string, file: string, versions: TemplateVersion[], etag: string, since?: number,
 *   figures?: VersionFigures[], override: {kind: string, version: number | null, who: string, reason: string, at: number} | null,
 *   rollout: {weights: Record<string, number>, by: string, step_back: Record<string, string>, confidence: number,
 *   shadow: {version: number, share: number, budget_nano_usd: Money} | null} | null}} Template */

export {};
