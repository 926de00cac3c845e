"""Takes out of captured text what nobody should read in a trace: people's addresses and numbers, and credentials.

Patterns are linear in the length of the text; what they find is replaced by its kind in brackets.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

KINDS = {
    "secret": re.compile(
        r"-----BEGIN [A-Z ]{1,30}PRIVATE KEY-----[^-]{0,8192}(?:-----END [A-Z ]{1,30}PRIVATE KEY-----)?"
        r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"
        r"|\b(?:sk|pk|rk|gsk|xai|ghp|gho|glpat|xox[abp])[-_][A-Za-z0-9_-]{8,}"
        r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
        r"|\bBearer\s{1,8}[A-Za-z0-9._~+/=-]{8,}"
    ),
    "email": re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}"),
    "iban": re.compile(r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b"),
    "card": re.compile(r"\b(?:[0-9][ -]?){12,18}[0-9]\b"),
    "phone": re.compile(r"(?<![\w+])(?:\+|00)[1-9][0-9 ().-]{6,20}[0-9]\b"),
}
"""By the name that the policy uses; in the order in which they are taken out."""


def redacted(text: str, kinds: Sequence[str]) -> str:
    for kind, pattern in KINDS.items():
        if kind in kinds:
            text = pattern.sub(f"[{kind}]", text)
    return text
