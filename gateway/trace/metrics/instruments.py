"""Every metric there is: its names, its unit, its labels and its buckets. docs/observability.md has the same table."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.trace.metrics.instrument import Instrument, Kind

_FROM_10_MS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
"""These and the two below: OpenTelemetry's GenAI conventions 1.41."""
_FIRST_TOKEN = (
    0.001,
    0.005,
    0.01,
    0.02,
    0.04,
    0.06,
    0.08,
    0.1,
    0.25,
    0.5,
    0.75,
    1,
    2.5,
    5,
    7.5,
    10,
    15,
    20,
    30,
    45,
    60,
)
"""Those beyond 10 s are Envoy's: models that reason are slower than the conventions think."""
_EACH_TOKEN = (0.001, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5)
"""The first one is agentgateway's."""
_TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)
_HTTP = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60, 120, 300)
"""OpenTelemetry's HTTP conventions; those beyond 10 s are for streams."""
_OVERHEAD = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25)

_MODEL = ("gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model")
_WHOSE = ("provider", "model", "org", "team")
_NANO = 1e-9
_C, _G, _H = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM

SERVER_DURATION = Instrument(
    "gen_ai_server_request_duration_seconds",
    "gen_ai.server.request.duration",
    _H,
    "s",
    (*_MODEL, "error.type"),
    "Calls as their clients felt them, from arrival to the last byte.",
    _FROM_10_MS,
    has_exemplars=True,
)
FIRST_TOKEN = Instrument(
    "gen_ai_server_time_to_first_token_seconds",
    "gen_ai.server.time_to_first_token",
    _H,
    "s",
    _MODEL,
    "Successful streams: from arrival to the first byte of the answer.",
    _FIRST_TOKEN,
    has_exemplars=True,
)
EACH_TOKEN = Instrument(
    "gen_ai_server_time_per_output_token_seconds",
    "gen_ai.server.time_per_output_token",
    _H,
    "s",
    _MODEL,
    "Successful streams: time for each output token after the first.",
    _EACH_TOKEN,
)
ATTEMPT_DURATION = Instrument(
    "gen_ai_client_operation_duration_seconds",
    "gen_ai.client.operation.duration",
    _H,
    "s",
    (*_MODEL, "error.type"),
    "Attempts at providers.",
    _FROM_10_MS,
    has_exemplars=True,
)
FIRST_CHUNK = Instrument(
    "gen_ai_client_operation_time_to_first_chunk_seconds",
    "gen_ai.client.operation.time_to_first_chunk",
    _H,
    "s",
    (*_MODEL, "error.type"),
    "Attempts that stream: until the provider's first chunk.",
    _FROM_10_MS,
)
TOKEN_USAGE = Instrument(
    "gen_ai_client_token_usage",
    "gen_ai.client.token.usage",
    _H,
    "{token}",
    (*_MODEL, "error.type", "gen_ai.token.type"),
    "Tokens of each answer, as billed.",
    _TOKENS,
)
HTTP_DURATION = Instrument(
    "http_server_request_duration_seconds",
    "http.server.request.duration",
    _H,
    "s",
    ("http.request.method", "http.route", "http.response.status_code", "error.type"),
    "Requests of the data plane that are calls.",
    _HTTP,
)
CALLS = Instrument(
    "llmgw_calls_total",
    "llmgw.calls",
    _C,
    "{call}",
    ("outcome", "model", "org", "team"),
    "Calls that have ended.",
)
OVERHEAD = Instrument(
    "llmgw_request_overhead_seconds",
    "llmgw.request.overhead",
    _H,
    "s",
    (),
    "The gateway's own share of a call's time.",
    _OVERHEAD,
)
TOKENS = Instrument(
    "llmgw_tokens_total",
    "llmgw.tokens",
    _C,
    "{token}",
    (*_WHOSE, "type"),
    "Tokens as billed: cached ones are among the input, reasoning ones among the output.",
)
COST = Instrument("llmgw_cost_usd_total", "llmgw.cost", _C, "{USD}", _WHOSE, "Settled cost.", scale=_NANO)
CACHE_REQUESTS = Instrument(
    "llmgw_cache_requests_total",
    "llmgw.cache.requests",
    _C,
    "{request}",
    ("kind", "result", "reason"),
    "Calls that came to a cache, and why they were not answered there.",
)
CACHE_SAVED = Instrument(
    "llmgw_cache_saved_usd_total",
    "llmgw.cache.saved",
    _C,
    "{USD}",
    ("kind", "result"),
    "What answers from a cache would have cost.",
    scale=_NANO,
)
CACHE_ENTRIES = Instrument(
    "llmgw_cache_entries", "llmgw.cache.entries", _G, "{answer}", (), "Answers that are kept, about.", is_asked=True
)
CACHE_BYTES = Instrument(
    "llmgw_cache_bytes",
    "llmgw.cache.bytes",
    _G,
    "By",
    (),
    "The size of the answers that are kept, about.",
    is_asked=True,
)
CACHE_DROPPED = Instrument(
    "llmgw_cache_dropped_total",
    "llmgw.cache.dropped",
    _C,
    "{answer}",
    (),
    "Answers that gave way to newer ones before their time, or found no room.",
    is_asked=True,
)
SEMANTIC_ENTRIES = Instrument(
    "llmgw_cache_semantic_entries",
    "llmgw.cache.semantic.entries",
    _G,
    "{question}",
    (),
    "Questions whose answers a worker can find by their meaning.",
    is_asked=True,
)
SEMANTIC_EVENTS = Instrument(
    "llmgw_cache_semantic_events_total",
    "llmgw.cache.semantic.events",
    _C,
    "{event}",
    ("event",),
    "What the semantic cache could not do, and what it was told of its answers.",
    is_asked=True,
)
ROUTE_DECISIONS = Instrument(
    "llmgw_route_decisions_total",
    "llmgw.route.decisions",
    _C,
    "{call}",
    ("route", "deployment", "reason"),
    "Calls by the route that fitted, the deployment tried last, and why.",
)
TRIALS = Instrument(
    "llmgw_trials_total",
    "llmgw.trials",
    _C,
    "{trial}",
    ("route", "candidate", "result"),
    "Calls that somebody else was to be asked too, and what came of it.",
    is_asked=True,
)
CERTIFICATE_STANDING = Instrument(
    "llmgw_certificate_standing",
    "llmgw.certificate.standing",
    _G,
    "{certificate}",
    ("route", "candidate", "standing"),
    "Certificates of a route's candidate that stand so: one for each system prompt, or one in all.",
    is_asked=True,
)
ROLLOUT_SHARE = Instrument(
    "llmgw_template_rollout_share_ratio",
    "llmgw.template.rollout.share",
    _G,
    "1",
    ("template", "version"),
    "Of the calls of a template that name no version, the share that gets this one.",
    is_asked=True,
)
ROLLOUT_EVIDENCE = Instrument(
    "llmgw_template_rollout_evidence_ratio",
    "llmgw.template.rollout.evidence",
    _G,
    "1",
    ("template", "version", "measure"),
    "How far calls have shown that a new version is worse than its bound allows: at 1 it is stepped back.",
    is_asked=True,
)
ROLLOUT_STEPPED_BACK = Instrument(
    "llmgw_template_rollout_stepped_back",
    "llmgw.template.rollout.stepped_back",
    _G,
    "{version}",
    ("template", "version"),
    "1 for a version that was taken out of its rollout.",
    is_asked=True,
)
CERTIFICATE_LABELS = Instrument(
    "llmgw_certificate_labels",
    "llmgw.certificate.labels",
    _G,
    "{label}",
    ("route", "candidate"),
    "Comparisons that the certificates of a candidate rest on.",
    is_asked=True,
)
CERTIFICATE_LOSS_UPPER = Instrument(
    "llmgw_certificate_loss_upper_ratio",
    "llmgw.certificate.loss_upper",
    _G,
    "1",
    ("route", "candidate"),
    "The most that a candidate loses of the reference's quality where it is certified, with the policy's confidence.",
    is_asked=True,
)
ATTEMPTS = Instrument(
    "llmgw_upstream_attempts_total",
    "llmgw.upstream.attempts",
    _C,
    "{attempt}",
    ("deployment", "reason", "error.type", "fault"),
    "Attempts at deployments.",
)
DROPPED_FIELDS = Instrument(
    "llmgw_dropped_fields_total",
    "llmgw.dropped.fields",
    _C,
    "{field}",
    ("provider", "field"),
    "Fields of calls that the dialect of the provider that answered could not carry.",
)
RESTING = Instrument(
    "llmgw_deployment_resting",
    "llmgw.deployment.resting",
    _G,
    "1",
    ("deployment",),
    "1 while a deployment rests after failures.",
    is_asked=True,
)
REMAINING = Instrument(
    "llmgw_budget_remaining_ratio",
    "llmgw.budget.remaining",
    _G,
    "1",
    ("level", "subject", "unit", "models", "window"),
    "Share of a budget or rate that is neither spent nor held.",
    is_asked=True,
)
BUDGET_REJECTIONS = Instrument(
    "llmgw_budget_rejections_total",
    "llmgw.budget.rejections",
    _C,
    "{call}",
    (),
    "Calls refused for a budget or a rate.",
    is_asked=True,
)
BUDGET_OVERDRAFTS = Instrument(
    "llmgw_budget_overdrafts_total",
    "llmgw.budget.overdrafts",
    _C,
    "{call}",
    (),
    "Calls that cost more than their cap allows.",
    is_asked=True,
)
BUDGET_THRESHOLDS = Instrument(
    "llmgw_budget_thresholds_total",
    "llmgw.budget.thresholds",
    _C,
    "{threshold}",
    (),
    "Shares of budgets that have been spent.",
    is_asked=True,
)
REFUSED = Instrument(
    "llmgw_refused_requests_total",
    "llmgw.refused.requests",
    _C,
    "{request}",
    ("error.type",),
    "Requests of the data plane that did not become calls, and so have no record.",
    is_asked=True,
)
CALLS_ACTIVE = Instrument(
    "llmgw_calls_active", "llmgw.calls.active", _G, "{call}", (), "Calls under way.", adds=True, is_asked=True
)
RELOADS = Instrument(
    "llmgw_policy_reloads_total",
    "llmgw.policy.reloads",
    _C,
    "{reload}",
    ("result",),
    "Times that a worker has read the policy again.",
    is_asked=True,
)
DROPPED = Instrument(
    "llmgw_telemetry_dropped_total",
    "llmgw.telemetry.dropped",
    _C,
    "{item}",
    ("signal", "where"),
    "Records, spans and data points that did not get where they should.",
    is_asked=True,
)
BUILD = Instrument(
    "llmgw_build_info",
    "llmgw.build.info",
    _G,
    "1",
    ("version", "policy"),
    "The version that runs, and the policy in force.",
    is_asked=True,
)

INSTRUMENTS: Mapping[str, Instrument] = {
    each.name: each for each in tuple(globals().values()) if isinstance(each, Instrument)
}
"""By name, in the order of the table."""
OVERFLOW_LABEL = "otel_metric_overflow"
"""The one label, `true`, of the series that has what did not fit into the others."""
