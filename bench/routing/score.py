"""The score of a prompt on graded prompts: how well it ranks them, what a decision costs, and how little it knows of other
traffic."""

from __future__ import annotations

import random
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from bench.routing.curve import Ranking, mean, rank
from bench.routing.data import Row, by_pair
from gateway.route.score.fit import fit
from gateway.route.score.prompt import Label, Prompt
from gateway.route.score.score import Score

Ranks = Callable[[Row], float]

_COUNTS = (50, 200, 1_000)
_WANTED = (0.61, 0.635, 0.67)
"""G1: the mean APGR over the pairs, for these numbers of labels."""
_TESTED = 0.25
_SPARE = 1.02
"""Times as many prompts as labels are set apart: some prompts come more than once, or not in every app."""
_TIMED = 1_500
_ROUNDS = 7
_NOT_OURS = (
    ("random", "0.500", "50.0", "80.0"),
    ("LiteLLM 1.109.1 heuristic, measured on another split", "0.549", "", ""),
    ("LiteLLM 1.109.1 heuristic v2, measured on another split", "0.513", "", ""),
    ("length, measured on another split", "0.576", "", ""),
)
_ROUTELLM = {"mmlu": ("0.603", "35.4", "70.3"), "gsm8k": ("0.622", "33.6", "63.3")}
"""The best of RouteLLM's routers as they were published: APGR, CPT50, CPT80."""
_SIDE_BY_SIDE = {"mmlu": (1_500, 0.65, 62.0), "gsm8k": (900, 0.65, 58.0)}
"""G2: the most labels, the least APGR and the greatest CPT80."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Where labels may come from and what is tested with them; no prompt is in both."""

    pool: Sequence[Row]
    tested: Sequence[Row]


def report(rows: Sequence[Row], *, labels: Sequence[Row] | None, draws: int, most_tested: int) -> Iterator[str]:
    """Labels come from three quarters of the rows, drawn anew each time, and are tested on the rest; or, if there are `labels`,
    from those, and are tested on all rows. Of each pair no more than `most_tested` rows are tested."""
    source = "another file" if labels is not None else "three quarters of the prompts, tested on the others"
    yield f"## The score of a prompt\n\n{len(rows):,} rows, {draws} draws of labels from {source}. Each app weighs the same.\n"
    yield from _mixed(rows, labels, draws, most_tested)
    yield from _side_by_side(rows, labels, draws, most_tested)
    yield from _elsewhere(rows, draws, most_tested)
    yield from _cost(labels if labels is not None else rows)


def _mixed(rows: Sequence[Row], labels: Sequence[Row] | None, draws: int, most: int) -> Iterator[str]:
    methods = ("length", *(f"score, {count:,} labels" for count in _COUNTS))
    found: dict[str, dict[str, Ranking]] = {method: {} for method in methods}
    unlabelled = []
    for pair, of_pair in by_pair(rows).items():
        print(f"bench: {pair}", file=sys.stderr, flush=True)
        pool = None if labels is None else [row for row in labels if row.pair == pair]
        if pool == []:
            unlabelled.append(pair)
            continue
        trials = [_trial(of_pair, pool, seed, most) for seed in range(draws)]
        cold = Score()
        found["length"][pair] = mean([_ranked(trial.tested, cold) for trial in trials])
        for count, method in zip(_COUNTS, methods[1:], strict=True):
            found[method][pair] = mean(
                [_ranked(trial.tested, _learned(trial.pool, count, seed)) for seed, trial in enumerate(trials)]
            )
    pairs = [*found["length"]]
    if unlabelled:
        yield f"Left out, for there are no labels: {', '.join(unlabelled)}.\n"
    if not pairs:
        return
    yield "### APGR / CPT50 / CPT80\n"
    yield _table(("", *pairs, "mean"), _rows_of(found, pairs))
    yield "\n### Beside others, and G1\n"
    yield _table(
        ("", "APGR", "CPT50", "CPT80"),
        [*_NOT_OURS, *((method, *_cells(mean([*by.values()]))) for method, by in found.items())],
    )
    yield ""
    for count, method, wanted in zip(_COUNTS, methods[1:], _WANTED, strict=True):
        reached = mean([*found[method].values()]).apgr
        yield f"- G1, {count:,} labels: mean APGR {reached:.3f}, wanted {wanted}: {_word(reached >= wanted)}"


def _rows_of(found: dict[str, dict[str, Ranking]], pairs: Sequence[str]) -> Iterable[tuple[str, ...]]:
    for method, by in found.items():
        yield (method, *(" / ".join(_cells(by[pair])) for pair in pairs), " / ".join(_cells(mean([*by.values()]))))


def _side_by_side(rows: Sequence[Row], labels: Sequence[Row] | None, draws: int, most: int) -> Iterator[str]:
    """RouteLLM's own two sets, one at a time: what is in-domain is the whole difference to its routers."""
    for dataset, (most_labels, least, greatest) in _SIDE_BY_SIDE.items():
        of_set = [row for row in rows if row.dataset == dataset]
        pool = None if labels is None else [row for row in labels if row.dataset == dataset]
        if not of_set or pool == []:
            continue
        print(f"bench: {dataset}", file=sys.stderr, flush=True)
        yield f"\n### {dataset}, beside RouteLLM\n"
        lines = [("RouteLLM's best, published", *_ROUTELLM[dataset])]
        ranking = Ranking(0.0, 0.0, 0.0)
        used = 0
        for count in (*_COUNTS[:2], most_labels):
            ranking, used = _alone(of_set, pool, count, draws, most)
            lines.append((f"score, {used:,} labels", *_cells(ranking)))
        if any(row.route != of_set[0].route for row in of_set):
            unknown, _ = _alone(of_set, pool, most_labels, draws, most, knows_category=False)
            lines.append((f"score, {used:,} labels, category not known", *_cells(unknown)))
        yield _table(("", "APGR", "CPT50", "CPT80"), lines)
        reached = _word(ranking.apgr >= least and ranking.cpt80 <= greatest)
        yield (
            f"\n- G2, {used:,} of {most_labels:,} labels: APGR {ranking.apgr:.3f} of {least}, "
            f"CPT80 {ranking.cpt80:.1f} of {greatest}: {reached}"
        )


def _alone(
    rows: Sequence[Row], pool: Sequence[Row] | None, count: int, draws: int, most: int, *, knows_category: bool = True
) -> tuple[Ranking, int]:
    """Of one set; and how many labels there were."""
    rankings = []
    used = count
    for seed in range(draws):
        share = min(_SPARE * count / len(rows), 1 - _TESTED)
        trial = _trial(rows, pool, seed, most, tested=1 - share)
        used = min(count, len(trial.pool))
        score = _learned(trial.pool, used, seed, knows_category=knows_category)
        rankings.append(_ranked(trial.tested, score, knows_category=knows_category))
    return mean(rankings), used


def _elsewhere(rows: Sequence[Row], draws: int, most: int) -> Iterator[str]:
    """G8: what labels of other families are worth, which is why no score ships with weights."""
    print("bench: other families", file=sys.stderr, flush=True)
    lines = []
    for family in sorted({row.family for row in rows}):
        rankings = []
        lengths = []
        for of_pair in by_pair(rows).values():
            tested = [row for row in of_pair if row.family == family]
            known = {row.prompt for row in tested}
            pool = [row for row in of_pair if row.family != family and row.prompt not in known]
            if not tested or not pool or not sum(row.loss for row in tested):
                continue
            few = random.Random(1).sample(tested, min(most, len(tested)))
            rankings += [_ranked(few, _learned(pool, 1_000, seed)).apgr for seed in range(min(draws, 3))]
            lengths.append(_ranked(few, Score()).apgr)
        if rankings:
            lines.append((family, f"{fmean(lengths):.3f}", f"{fmean(rankings):.3f}"))
    yield "\n### Honesty (G8): APGR on a family of which there are no labels, 1,000 labels of the others\n"
    yield _table(("family", "length", "score"), lines)


def _cost(rows: Sequence[Row]) -> Iterator[str]:
    print("bench: cost", file=sys.stderr, flush=True)
    pair = max(by_pair(rows).values(), key=len)
    labels = [_label(row) for row in _drawn(pair, 1_000, random.Random(1))]
    began = time.process_time()
    fit(labels)
    fitting = time.process_time() - began
    tracemalloc.start()
    score = fit(labels)
    memory = tracemalloc.get_traced_memory()[0] / 1e6
    tracemalloc.stop()
    prompts = [_prompt(row) for row in random.Random(2).sample(list(rows), min(_TIMED, len(rows)))]
    times = sorted(_times(score, prompts))
    p50, p99 = times[len(times) // 2], times[len(times) * 99 // 100]
    yield f"\n### Cost (G6), {len(prompts):,} prompts of {fmean(len(prompt.text) for prompt in prompts):.0f} characters\n"
    lines = [
        ("llmgw, one decision", f"{p50:.0f} µs", f"{p99:.0f} µs"),
        ("LiteLLM heuristic, measured", "587 µs", "3,122 µs"),
        ("LiteLLM heuristic v2, measured", "200 µs", "992 µs"),
    ]
    yield _table(("", "p50", "p99"), lines)
    yield f"\n- G6: p50 {p50:.0f} µs of 100, p99 {p99:.0f} µs of 350: {_word(p50 <= 100 and p99 <= 350)}"
    yield f"- G6: {memory:.1f} MB of 10 for 1,000 labels: {_word(memory <= 10)}"
    yield f"- 1,000 labels are learned in {fitting:.2f} s of CPU; {len(score.words):,} words and pairs are kept."


def _times(score: Score, prompts: Sequence[Prompt]) -> list[float]:
    """Microseconds for each, the least of some rounds: the machine may have other work."""
    best = [float("inf")] * len(prompts)
    for _ in range(_ROUNDS):
        for place, prompt in enumerate(prompts):
            began = time.perf_counter_ns()
            score.of(prompt)
            best[place] = min(best[place], (time.perf_counter_ns() - began) / 1e3)
    return best


def _trial(rows: Sequence[Row], pool: Sequence[Row] | None, seed: int, most: int, *, tested: float = _TESTED) -> Trial:
    chance = random.Random(seed)
    if pool is not None:
        few = chance.sample(list(rows), min(most, len(rows)))
        known = {row.prompt for row in few}
        return Trial([row for row in pool if row.prompt not in known], few)
    prompts = sorted({row.prompt for row in rows})
    chance.shuffle(prompts)
    known = set(prompts[: round(len(prompts) * tested)])
    of_known = [row for row in rows if row.prompt in known]
    return Trial([row for row in rows if row.prompt not in known], chance.sample(of_known, min(most, len(of_known))))


def _drawn(pool: Sequence[Row], count: int, chance: random.Random) -> list[Row]:
    """As from traffic of which each app has the same share, until an app has no more."""
    apps: dict[str, list[Row]] = {}
    for row in chance.sample(list(pool), len(pool)):
        apps.setdefault(row.app, []).append(row)
    drawn: list[Row] = []
    while apps and len(drawn) < count:
        app = chance.choice(sorted(apps))
        drawn.append(apps[app].pop())
        if not apps[app]:
            del apps[app]
    return drawn


def _learned(pool: Sequence[Row], count: int, seed: int, *, knows_category: bool = True) -> Score:
    drawn = _drawn(pool, count, random.Random(f"{seed} {count}"))
    return fit([_label(row, knows_category=knows_category) for row in drawn], most=count)


def _ranked(rows: Sequence[Row], score: Score, *, knows_category: bool = True) -> Ranking:
    return rank(rows, [score.of(_prompt(row, knows_category=knows_category)).loss for row in rows])


def _label(row: Row, *, knows_category: bool = True) -> Label:
    return Label(_prompt(row, knows_category=knows_category), row.q_strong, row.q_weak)


def _prompt(row: Row, *, knows_category: bool = True) -> Prompt:
    return Prompt(row.prompt, row.app, row.route if knows_category else "")


def _cells(one: Ranking) -> tuple[str, str, str]:
    return f"{one.apgr:.3f}", f"{one.cpt50:.1f}", f"{one.cpt80:.1f}"


def _word(reached: bool) -> str:
    return "reached" if reached else "MISSED"


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *lines))
