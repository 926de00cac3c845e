"""Quantities: a number and perhaps its unit, so that 1 km is 1000 m."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isclose

from gateway.core.comparison import number, plain

CLOSE = 1e-6
"""Two quantities are the same when they differ by no more than this part of the larger."""

LONGEST = 64
"""Characters of a text that may be a quantity."""

_QUANTITY = re.compile(r"([$€£¥]?)\s*([-+]?[\d.,]*\d(?:[eE][-+]?\d{1,3})?)\s*([^\d\s.,+-][^\d+-]{0,20})?")

_UNITS: dict[str, dict[str, float]] = {
    "length": {
        "m meter metre meters metres": 1,
        "km kilometer kilometre kilometers kilometres": 1e3,
        "cm centimeter centimetre centimeters centimetres": 1e-2,
        "mm millimeter millimetre millimeters millimetres": 1e-3,
        "um µm μm micrometer micrometers": 1e-6,
        "in inch inches": 0.0254,
        "ft foot feet": 0.3048,
        "yd yard yards": 0.9144,
        "mi mile miles": 1609.344,
    },
    "mass": {
        "kg kilogram kilograms": 1,
        "g gram grams": 1e-3,
        "mg milligram milligrams": 1e-6,
        "t tonne tonnes": 1e3,
        "lb lbs pound pounds": 0.45359237,
        "oz ounce ounces": 0.028349523125,
    },
    "time": {
        "s sec second seconds": 1,
        "ms millisecond milliseconds": 1e-3,
        "min minute minutes": 60,
        "h hr hour hours": 3600,
        "d day days": 86_400,
        "week weeks": 604_800,
    },
    "volume": {"l liter litre liters litres": 1, "ml milliliter millilitre milliliters millilitres": 1e-3},
    "size": {
        "b byte bytes": 1,
        "kb": 1e3,
        "mb": 1e6,
        "gb": 1e9,
        "tb": 1e12,
        "kib": 2.0**10,
        "mib": 2.0**20,
        "gib": 2.0**30,
        "tib": 2.0**40,
    },
    "share": {"% percent per cent": 1},
}
_KNOWN = {
    name: (kind, factor)
    for kind, units in _UNITS.items()
    for names, factor in units.items()
    for name in (["%", "percent", "per cent"] if kind == "share" else names.split())
}


@dataclass(frozen=True, slots=True)
class Quantity:
    """`kind` is what is measured, or the unit itself where it is not known; then only the same unit compares."""

    size: float
    kind: str


def quantity(text: str) -> Quantity | None:
    """Of a text that is a number, perhaps with its unit or currency, and nothing else."""
    found = _QUANTITY.fullmatch(plain(text)) if len(text) <= LONGEST else None
    if found is None:
        return None
    currency, digits, unit = found.groups()
    size = float(digits) if "e" in digits.casefold() and "," not in digits else number(digits)
    if size is None or (currency and unit):
        return None
    name = (currency or unit or "").strip()
    kind, factor = _KNOWN.get(name.casefold(), (name.casefold(), 1.0))
    return Quantity(size * factor, kind)


def same(one: Quantity, other: Quantity) -> bool:
    return one.kind == other.kind and isclose(one.size, other.size, rel_tol=CLOSE)
