"""The deployments that a model names, each written `provider/upstream-model`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from gateway.core.call import FEATURES
from gateway.core.deployment import ABLE, Abilities, Deployment, Provider
from gateway.core.money import Price, nano
from gateway.policy import schema, schema_price
from gateway.policy.mistakes import Mistakes, Path, nearest
from gateway.policy.sections.providers import Providers
from gateway.policy.shapes import listed

Prices = Callable[[Provider, str], Price | None]
"""The list price of an upstream model at a provider, or None where it is not known."""

Able = Callable[[Provider, str], Abilities]
"""What an upstream model at a provider can do, as far as that is known."""

_NO_STAR = "a `*` stands for the end of the model's own name, so that must end in `*` too"
_ONE_STAR = "there can be only one `*`"
_UPSTREAM_MODEL = re.compile(r"[!-~]{1,200}")


_Said = tuple[int | None, frozenset[str], frozenset[str]]
_UNSAID: _Said = (None, frozenset(), frozenset())


@dataclass(frozen=True, slots=True)
class Target:
    """A deployment as it is written: its upstream model may have a `*`, and without `price` the list price holds.

    `context`, `can` and `cannot` go before what the table of models says.
    """

    provider: Provider
    upstream_model: str
    price: Price | None = None
    weight: int = 1
    context: int | None = None
    can: frozenset[str] = frozenset()
    cannot: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        return f"{self.provider.name}/{self.upstream_model}"

    def deployment(self, star: str, prices: Prices, able: Able) -> Deployment:
        upstream_model = self.upstream_model.replace("*", star)
        return Deployment(
            name=f"{self.provider.name}/{upstream_model}",
            provider=self.provider,
            upstream_model=upstream_model,
            price=self.price or prices(self.provider, upstream_model),
            weight=self.weight,
            abilities=self._abilities(able(self.provider, upstream_model)),
        )

    def _abilities(self, known: Abilities) -> Abilities:
        lacks = (known.lacks - self.can) | self.cannot
        if self.context is not None:
            return Abilities(context=self.context, lacks=lacks)
        return known if lacks == known.lacks else replace(known, lacks=lacks)


def unknown_abilities(_: Provider, __: str) -> Abilities:
    return ABLE


class Targets:
    """Reads what models name; what is on a provider that is off is left out without a mistake."""

    def __init__(self, models: Mapping[str, schema.Model], providers: Providers, mistakes: Mistakes) -> None:
        self._models = models
        self._providers = providers
        self._mistakes = mistakes
        self._prices: dict[str, Price] = {}
        for name, price in _written_prices(models):
            self._prices.setdefault(name, price)
        self._able: dict[tuple[str, str], _Said] = {}
        for model, written in models.items():
            of_all = self._said(written, ("models", model))
            for path, name, share in _entries(model, written):
                said = _joined(of_all, self._said(share, path))
                if said != _UNSAID:
                    self._able[model, name] = said
                    self._able.setdefault(("", name), said)

    def used(self, model: str) -> tuple[Target, ...]:
        """The deployments of a model that are on."""
        entries = list(_entries(model, self._models[model]))
        seen: set[str] = set()
        for path, name, _ in entries:
            if name in seen:
                self._mistakes.add(path, f"{name!r} is listed twice")
            seen.add(name)
        if not any(share.weight for _, _, share in entries):
            self._mistakes.add(("models", model, "use"), "every weight is 0, so no deployment would be tried first")
        found = [self._target(path, name, share, model) for path, name, share in entries]
        return tuple(target for target in found if target is not None)

    def fallback(self, path: Path, name: str, model: str) -> Target | None:
        """A deployment named as a fallback."""
        return self._target(path, name, schema.Share(), model)

    def priced(self, list_prices: Prices) -> Prices:
        """What a deployment without a price of its own costs: what the first model to price it says, else its list price."""

        def price(provider: Provider, upstream_model: str) -> Price | None:
            return self._prices.get(f"{provider.name}/{upstream_model}") or list_prices(provider, upstream_model)

        return price

    def _target(self, path: Path, name: str, share: schema.Share, model: str) -> Target | None:
        provider, _, upstream_model = name.partition("/")
        problem = self._problem(provider, upstream_model, stars=1 if model.endswith("*") else 0)
        if problem is not None:
            self._mistakes.add(path, problem)
        if problem is not None or provider not in self._providers.on:
            return None
        price = share.price or self._models[model].price
        written = None if price is None else _price(price)
        elsewhere = self._able.get(("", name), _UNSAID)
        context, can, cannot = self._able.get((model, name), elsewhere)
        return Target(self._providers.on[provider], upstream_model, written, share.weight, context, can, cannot)

    def _said(self, written: schema.Able, path: Path) -> _Said:
        can, cannot = frozenset(listed(written.can)), frozenset(listed(written.cannot))
        for key, features in (("can", can), ("cannot", cannot)):
            for feature in sorted(features - FEATURES):
                message = f"there is no feature {feature!r}{nearest(feature, FEATURES)}"
                self._mistakes.add((*path, key), message)
        if can & cannot:
            self._mistakes.add((*path, "cannot"), f"{min(can & cannot)!r} is under `can` too")
        if written.context == 0:
            self._mistakes.add((*path, "context"), "no prompt fits into 0 tokens")
        return written.context, can, cannot

    def _problem(self, provider: str, upstream_model: str, *, stars: int) -> str | None:
        if not _UPSTREAM_MODEL.fullmatch(upstream_model):
            return "expected provider/upstream-model, such as openai/gpt-4o"
        if provider not in self._providers.declared:
            return f"there is no provider {provider!r}{nearest(provider, self._providers.declared)}"
        if upstream_model.count("*") > stars:
            return _ONE_STAR if stars else _NO_STAR
        return None


def _joined(model: _Said, own: _Said) -> _Said:
    """What is said of all deployments of a model, and of one of them, which goes before it."""
    context, can, cannot = own
    return model[0] if context is None else context, (model[1] - cannot) | can, (model[2] - can) | cannot


def _written_prices(models: Mapping[str, schema.Model]) -> Iterator[tuple[str, Price]]:
    for model, written in models.items():
        for _, name, share in _entries(model, written):
            price = share.price or written.price
            if price is not None:
                yield name, _price(price)


def _entries(model: str, written: schema.Model) -> Iterator[tuple[Path, str, schema.Share]]:
    path: Path = ("models", model, "use")
    if isinstance(written.use, str):
        yield path, written.use, schema.Share()
        return
    for index, entry in enumerate(written.use):
        if isinstance(entry, str):
            yield (*path, index), entry, schema.Share()
        else:
            yield from (((*path, index, name), name, share) for name, share in entry.items())


def _price(written: schema_price.Price) -> Price:
    base = _with(Price(input=0, output=0), written)
    tiers: list[tuple[int, Price]] = []
    for tier in written.tiers:
        tiers.append((tier.above, _with(tiers[-1][1] if tiers else base, tier)))
    search = None if written.web_search is None else nano(written.web_search)
    return replace(base, request=nano(written.request), unit=_unit(written), web_search=search, tiers=tuple(tiers))


def _unit(written: schema_price.Price) -> int:
    """What the deployment sells besides tokens; nobody sells two such things."""
    character = None if written.character is None else written.character / 1_000_000
    prices = (written.image, written.second, character, written.search)
    return max((nano(dollars) for dollars in prices if dollars is not None), default=0)


def _with(price: Price, written: schema_price.Rates) -> Price:
    """The price with the rates that are written in place of its own."""
    rates = {
        "input": written.input,
        "output": written.output,
        "cached_input": written.cached_in,
        "cache_write": written.cache_write,
        "cache_write_1h": written.cache_write_1h,
        "audio_input": written.audio_in,
        "audio_output": written.audio_out,
        "image_input": written.image_in,
        "image_output": written.image_out,
        "reasoning": written.reasoning,
    }
    written_rates = {name: nano(dollars) for name, dollars in rates.items() if dollars is not None}
    return replace(price, request=0, tiers=(), **written_rates)
