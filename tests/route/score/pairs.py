"""Prompts whose losses are planted."""

from __future__ import annotations

import random

from gateway.route.score.prompt import Label, Prompt

EASY = "welcome every friendly visitor from our gardens and offer a sweet pastry to her".split()
HARD = "please evaluate the contour integral over the boundary and derive its residue".split()


def planted(count: int, *, seed: int = 1) -> list[Label]:
    """Half of them of hard words, where the weak model mostly fails."""
    chance = random.Random(seed)
    labels = []
    for _ in range(count):
        hard = chance.random() < 0.5
        text = " ".join(chance.choices(HARD if hard else EASY, k=chance.randrange(8, 16)))
        fails = chance.random() < (0.9 if hard else 0.1)
        labels.append(Label(Prompt(text, "maths", "plain"), strong=1.0, weak=float(not fails)))
    return labels
