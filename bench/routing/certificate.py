"""Certificates on graded answers: how often they are wrong, how many labels they take, what they save, how soon they are lost.

Labels are drawn from the file with replacement, as many streams as it takes. A call is served by the cheapest candidate that is
certified, else by the strong model. A share of the calls is labelled, and whatever that costs is paid.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import median

from bench.routing import cascade
from bench.routing.cascade import Outcome
from bench.routing.data import Row
from gateway.core import bet
from gateway.route.certificate.certificate import Shares, State, Status, decide, learn, share, standing, verdict
from gateway.route.certificate.terms import Terms

LIMITS = (0.05, 0.02)
SHARES = Shares(shadow=0.25, audit=0.02)
GOOD, BAD = bet.cell(1, 1), bet.cell(1, 0)

Draw = Callable[[random.Random], int]
"""A label, as a cell of core.bet."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is simulated."""

    null_streams: int = 400
    peeks: int = 2_000
    streams: int = 40
    seeds: int = 6
    calls: int = 10_000
    drifts: int = 40


QUICK = Sizes(null_streams=40, peeks=500, streams=6, seeds=2, calls=3_000, drifts=10)


def report(rows: Sequence[Row], *, quick: bool = False) -> Iterator[str]:
    sizes = QUICK if quick else Sizes()
    found = cascade.outcomes(rows)
    yield f"## Certificates\n\n{__doc__}"
    yield from _errors(found, sizes)
    yield from _labels(found, sizes)
    yield from _streams(found, sizes)
    yield from _drifts(sizes)
    yield from _judges(sizes)


class Learner:
    """The certificate of one candidate, which is asked after every label."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.state = State()
        self.status = Status.UNCERTIFIED
        self.share = share(self.state, terms, SHARES)

    def learn(self, cell: int) -> Status:
        state = learn(self.state, self.terms, cell=cell, writer="w", at=0.0)
        self.state = decide(state, self.terms, 0.0)
        self.status = verdict(self.state, self.terms).status
        if self.status is Status.CERTIFIED:
            self.share = share(self.state, self.terms, SHARES)
        elif self.status is not Status.UNCERTIFIED:
            self.share = 0.0
        return self.status

    def until_verdict(self, draw: Draw, rng: random.Random, most: int) -> int:
        """The labels that it took; `most` where they did not suffice."""
        for count in range(1, most + 1):
            if self.learn(draw(rng)) is not Status.UNCERTIFIED:
                return count
        return most


# Errors at the limit itself


def _errors(found: Mapping[str, Sequence[Outcome]], sizes: Sizes) -> Iterator[str]:
    lines = [
        f"### A candidate whose loss is the very limit: {sizes.null_streams} streams, {sizes.peeks} peeks each\n",
        "| labels | limit | certified | refused |",
        "|---|---|---|---|",
    ]
    every: list[Status] = []
    for limit in LIMITS:
        kinds: dict[str, tuple[Draw, Terms]] = {
            "right or wrong": (partial(_right_or_wrong, limit), Terms(max_loss=limit))
        }
        for name in ("crux_gpt4o", "gsm8k_claude35"):
            if name in found and limit == LIMITS[0]:
                draw = _at_limit(found[name], limit)
                kinds[f"{name}, cheap and strong mixed"] = draw, Terms(max_loss=limit, graded=True)
        for name, (draw, terms) in kinds.items():
            ends = _ends(draw, terms, sizes.null_streams, sizes.peeks)
            shares = {status: sum(one is status for one, _ in ends) / len(ends) for status in Status}
            every += [status for status, _ in ends]
            lines.append(f"| {name} | {limit:.0%} | {shares[Status.CERTIFIED]:.2%} | {shares[Status.REFUSED]:.2%} |")
    wrong = every.count(Status.CERTIFIED) / len(every)
    lines.append(
        f"\n- at most 5 % certified at the limit: {wrong:.2%} of {len(every)} streams, {_word(wrong <= 0.05)}\n"
    )
    yield "\n".join(lines)


def _right_or_wrong(loss: float, rng: random.Random) -> int:
    return BAD if rng.random() < loss else GOOD


def _at_limit(some: Sequence[Outcome], limit: float) -> Draw:
    """The cheap answer now and then, else the strong one, so that the loss is the limit."""
    cells = [(bet.cell(one.row.q_strong, one.row.q_weak), bet.cell(one.row.q_strong, one.row.q_strong)) for one in some]
    loss = bet.loss(_counted(cheap for cheap, _ in cells))
    return lambda rng: rng.choice(cells)[rng.random() * loss >= limit]


def _ends(draw: Draw, terms: Terms, streams: int, most: int) -> list[tuple[Status, int]]:
    """How each stream ended, and after how many labels."""
    ends = []
    for seed in range(streams):
        learner = Learner(terms)
        count = learner.until_verdict(draw, random.Random(seed), most)
        ends.append((learner.status, count))
    return ends


# Labels until a verdict


def _labels(found: Mapping[str, Sequence[Outcome]], sizes: Sizes) -> Iterator[str]:
    lines = [
        f"### Labels until a verdict: medians of {sizes.streams} streams of at most {sizes.peeks}\n",
        "| set | candidate | loss | limit | certified | refused | labels |",
        "|---|---|---|---|---|---|---|",
    ]
    slow_to_certify, slow_to_refuse, unsafe = [], [], 0.0
    for name, some in found.items():
        for candidate, cells in _candidates(some).items():
            loss = bet.loss(_counted(cells))
            for limit in LIMITS:
                ends = _ends(_any_of(cells), Terms(max_loss=limit, graded=True), sizes.streams, sizes.peeks)
                certified, refused = (
                    [count for status, count in ends if status is wanted]
                    for wanted in (Status.CERTIFIED, Status.REFUSED)
                )
                lines.append(
                    f"| {name} | {candidate} | {loss:.1%} | {limit:.0%} | {len(certified) / len(ends):.0%} "
                    f"| {len(refused) / len(ends):.0%} | {median(count for _, count in ends):.0f} |"
                )
                unsafe = max(unsafe, len(certified) / len(ends) if loss >= limit else 0.0)
                middle = median(count for _, count in ends)
                if limit == LIMITS[0] and candidate == "cascade" and name.endswith("gpt4o"):
                    slow_to_certify.append((middle, name))
                if limit == LIMITS[0] and loss >= 2 * limit:
                    slow_to_refuse.append((middle, f"{name} {candidate}"))
    lines.append(
        f"\n- no unsafe candidate certified in more than 5 % of streams: at most {unsafe:.1%}, {_word(unsafe <= 0.05)}"
    )
    lines.append(_slowest("cascades of GPT-4o certified at 5 %", slow_to_certify, 300))
    lines.append(_slowest("candidates with twice the loss refused at 5 %", slow_to_refuse, 350) + "\n")
    yield "\n".join(lines)


def _slowest(text: str, found: Sequence[tuple[float, str]], most: int) -> str:
    if not found:
        return f"- {text} after at most {most} labels: no data"
    count, name = max(found)
    return f"- {text} after at most {most} labels: {count:.0f} ({name}), {_word(count <= most)}"


def _candidates(some: Sequence[Outcome]) -> dict[str, list[int]]:
    return {
        "cheap": [bet.cell(one.row.q_strong, one.row.q_weak) for one in some],
        "cascade": [bet.cell(one.row.q_strong, one.quality) for one in some],
    }


def _any_of(cells: Sequence[int]) -> Draw:
    return lambda rng: rng.choice(cells)


def _counted(cells: Iterator[int] | Sequence[int]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for cell in cells:
        counts[cell] = counts.get(cell, 0) + 1
    return counts


# Whole streams of calls


@dataclass(slots=True)
class Bill:
    """What a stream cost and was worth, and what the strong model alone would have."""

    cost: float = 0.0
    strong_cost: float = 0.0
    quality: float = 0.0
    strong_quality: float = 0.0

    def add(self, other: Bill) -> None:
        self.cost += other.cost
        self.strong_cost += other.strong_cost
        self.quality += other.quality
        self.strong_quality += other.strong_quality


@dataclass(slots=True)
class Served:
    """A route: its candidates by price, and what came of its calls."""

    cheap: Learner
    cascade: Learner
    bill: Bill = field(default_factory=Bill)

    def call(self, one: Outcome, rng: random.Random) -> None:
        serving = next((each for each in (self.cheap, self.cascade) if each.status is Status.CERTIFIED), None)
        # a cheaper candidate is labelled with what serves now, and no more often than that
        chance = serving.share if serving else max(self.cheap.share, self.cascade.share)
        labelled = rng.random() < chance
        self._pay(one, serving, labelled=labelled)
        if not labelled:
            return
        if self.cheap.status in (Status.UNCERTIFIED, Status.CERTIFIED):
            self.cheap.learn(bet.cell(one.row.q_strong, one.row.q_weak))
        if serving is not self.cheap and self.cascade.status in (Status.UNCERTIFIED, Status.CERTIFIED):
            self.cascade.learn(bet.cell(one.row.q_strong, one.quality))

    def _pay(self, one: Outcome, serving: Learner | None, *, labelled: bool) -> None:
        """Each model is asked once, whatever for."""
        by_strong = serving is None or (serving is self.cascade and one.why is not None)
        strong = by_strong or labelled
        second = serving is self.cascade or (labelled and serving is None and self.cascade.share > 0)
        cheap = serving is not None or labelled
        quality = one.row.q_strong if by_strong else one.row.q_weak
        cost = strong * one.strong + cheap * one.cheap + second * one.second
        self.bill.add(Bill(cost, one.strong, quality, one.row.q_strong))


FAMILIES = {"GPT-4o / mini": "gpt-4o", "Sonnet / Haiku": "claude-3-5-sonnet"}


def _streams(found: Mapping[str, Sequence[Outcome]], sizes: Sizes) -> Iterator[str]:
    lines = [
        f"### Whole streams: {sizes.calls} calls to each route, {SHARES.shadow:.0%} labelled until decided, "
        f"then {SHARES.audit:.0%}\n",
        "| models | routes | limit | cost | quality | worst seed | dearest route | cheap / cascade / strong at the end |",
        "|---|---|---|---|---|---|---|---|",
    ]
    goals = []
    for title, strong in FAMILIES.items():
        routes = {name: some for name, some in found.items() if some[0].row.strong.startswith(strong)}
        for limit in LIMITS if routes else ():
            bills, dearest, ends = _replay(routes, Terms(max_loss=limit, graded=True), sizes)
            whole = Bill()
            for bill in bills:
                whole.add(bill)
            cost, quality = whole.cost / whole.strong_cost, whole.quality / whole.strong_quality
            worst = min(bill.quality / bill.strong_quality for bill in bills)
            lines.append(
                f"| {title} | {len(routes)} | {limit:.0%} | {cost:.1%} | {quality:.2%} | {worst:.2%} | {dearest:.1%} | {ends} |"
            )
            if limit == LIMITS[0]:
                is_reached = cost <= 0.65 and worst >= 0.985 and dearest <= 1.05
                goals.append(
                    f"- {title}, {len(routes)} routes, limit 5 %: at most 65 % of the cost, worst seed at least 98.5 %, "
                    f"no route above 105 %: {cost:.1%}, {worst:.2%}, {dearest:.1%}, {_word(is_reached)}"
                )
    yield "\n".join([*lines, "", *goals[:1], ""])


def _replay(routes: Mapping[str, Sequence[Outcome]], terms: Terms, sizes: Sizes) -> tuple[list[Bill], float, str]:
    """Each seed's bill, the cost of the dearest route of any seed, and how many ended how."""
    bills, dearest, ends = [], 0.0, [0, 0, 0]
    for seed in range(sizes.seeds):
        bill = Bill()
        for name, some in routes.items():
            rng = random.Random(f"{seed} {name}")
            route = Served(Learner(terms), Learner(terms))
            for _ in range(sizes.calls):
                route.call(rng.choice(some), rng)
            dearest = max(dearest, route.bill.cost / route.bill.strong_cost)
            bill.add(route.bill)
            statuses = (route.cheap.status, route.cascade.status, Status.CERTIFIED)
            ends[statuses.index(Status.CERTIFIED)] += 1
        bills.append(bill)
    return bills, dearest, " / ".join(map(str, ends))


# A candidate that becomes worse


def _drifts(sizes: Sizes) -> Iterator[str]:
    lines = [
        f"### A certified candidate becomes worse: medians of {sizes.drifts} streams, limit 5 %, 1 % lost before\n",
        "| loss from then on | revoked within 20,000 calls | labels | calls | 90th percentile of calls "
        "| answers lost beyond the limit |",
        "|---|---|---|---|---|---|",
    ]
    for loss in (0.08, 0.10, 0.15, 0.20, 0.40, 1.0):
        found = [_until_revoked(loss, seed, most=20_000) for seed in range(sizes.drifts)]
        labels, calls = (sorted(one[place] for one in found) for place in (0, 1))
        revoked = sum(one[2] for one in found) / len(found)
        lines.append(
            f"| {loss:.0%} | {revoked:.0%} | {median(labels):.0f} | {median(calls):.0f} | {calls[int(0.9 * len(calls))]} "
            f"| {median(calls) * (loss - 0.05):.0f} |"
        )
    lines += [
        "",
        "| loss that stays | revoked within 50,000 calls, though within the limit | share of calls labelled |",
        "|---|---|---|",
    ]
    for loss in (0.0, 0.025, 0.05):
        found = [_until_revoked(loss, seed, most=50_000, warm=0) for seed in range(max(4, sizes.drifts // 4))]
        labelled = sum(one[0] for one in found) / sum(one[1] for one in found)
        lines.append(f"| {loss:.1%} | {sum(one[2] for one in found) / len(found):.0%} | {labelled:.1%} |")
    yield "\n".join(lines) + "\n"


def _until_revoked(loss: float, seed: int, *, most: int, warm: int = 10_000) -> tuple[int, int, bool]:
    """Labels and calls after the change, and whether it was revoked then. `warm` calls with 1 % lost came before it."""
    rng = random.Random(seed)
    learner = Learner(Terms())
    learner.until_verdict(partial(_right_or_wrong, 0.0), rng, 200)
    labels = 0
    for call in range(-warm, most):
        if rng.random() >= learner.share:
            continue
        labels += call >= 0
        if learner.learn(_right_or_wrong(0.01 if call < 0 else loss, rng)) is Status.REVOKED:
            return labels, max(call, 0) + 1, call >= 0
    return labels, most, False


# Judges that err


def _judges(sizes: Sizes) -> Iterator[str]:
    lines = [
        f"### A judge that errs: {sizes.drifts} streams of at most {sizes.peeks} labels, limit 5 %\n",
        "| errs on bad answers | on good ones | loss | said to err | certified | refused | labels |",
        "|---|---|---|---|---|---|---|",
    ]
    for missed, blamed, loss in (
        (0.1, 0.0, 0.0),
        (0.1, 0.0, 0.01),
        (0.2, 0.0, 0.0),
        (0.1, 0.02, 0.0),
        (0.1, 0.1, 0.0),
        (0.4, 0.0, 0.07),
        (0.1, 0.1, 0.30),
    ):
        seen = loss * (1 - missed) + (1 - loss) * blamed
        for said in (0.0, max(missed, blamed)):
            ends = _ends(partial(_right_or_wrong, seen), Terms(judge_error=said), sizes.drifts, sizes.peeks)
            certified, refused = (
                sum(status is wanted for status, _ in ends) / len(ends) for wanted in (Status.CERTIFIED, Status.REFUSED)
            )
            count = median(count for _, count in ends)
            lines.append(
                f"| {missed:.0%} | {blamed:.0%} | {loss:.0%} | {said:.0%} | {certified:.0%} | {refused:.0%} | {count:.0f} |"
            )
    example = Learner(Terms())
    example.until_verdict(partial(_right_or_wrong, 0.01), random.Random(1), sizes.peeks)
    read = standing(example.state, example.terms)
    lines.append(f"\nAs an admin reads it, for example: {read.status.value}, {read.why}; mean {read.mean:.1%}.\n")
    yield "\n".join(lines)


def _word(is_reached: bool) -> str:
    return "reached" if is_reached else "MISSED"
