"""Which series docs/observability.md promises and the rules record, and which ones an expression asks for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent.parent
RULES = ROOT / "deploy" / "prometheus" / "llmgw.rules.yaml"
SCRAPED = frozenset({"up", "ALERTS"})
"""What Prometheus itself knows."""
_SUFFIXES = {"H": ("_bucket", "_sum", "_count"), "C": ("",), "G": ("",)}
_NAME = re.compile(r"\b(?:llmgw|gen_ai|http)[_:][a-z0-9_:]*[a-z0-9]")
_MATCHED = re.compile(r"[{,]\s*([a-z_]+)\s*(?:=~|!~|!=|=)")
_GROUPED = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)")
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')


def documented() -> frozenset[str]:
    """The series of the metrics table, those of histograms written out."""
    names: set[str] = set()
    for row in _section().splitlines():
        cell = row.split("|")[1] if row.startswith("|") else ""
        kinds = re.findall(r"[HCG]\b", re.sub(r"`[^`]*`", "", cell))
        for name in re.findall(r"`([a-z_]+)`", cell):
            names.update(name + suffix for suffix in _SUFFIXES[kinds[0]])
    return frozenset(names)


def labels() -> frozenset[str]:
    """The labels that some metric has, and those that come from scraping and from histograms."""
    return frozenset(re.findall(r"`([a-z_]+)`", _section())) | {"job", "instance", "le"}


def rules() -> list[dict[str, Any]]:
    """Every rule of the shipped file, in its order."""
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def recorded() -> frozenset[str]:
    return frozenset(rule["record"] for rule in rules() if "record" in rule)


def unknown(expressions: Iterable[str]) -> set[str]:
    """The series and labels in PromQL expressions that nobody promises."""
    known, words = documented() | recorded() | SCRAPED, labels()
    missing: set[str] = set()
    for expression in expressions:
        bare = _TEXT.sub('""', expression)
        matched = _MATCHED.findall(bare)
        grouped = [label.strip() for found in _GROUPED.findall(bare) for label in found.split(",") if label.strip()]
        missing.update(label for label in (*matched, *grouped) if label not in words)
        series = re.sub(r"\{[^}]*\}", "", _GROUPED.sub("", bare))
        missing.update(name for name in _NAME.findall(series) if name not in known)
    return missing


def _section() -> str:
    return (ROOT / "docs" / "observability.md").read_text().split("\n## Metrics\n")[1].split("\n## ")[0]
