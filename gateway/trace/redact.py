"""Takes out of captured text what nobody should read in a trace: people's addresses and numbers, and credentials.

Patterns are linear in the length of the text (tests/trace/test_redact.py times them on hostile ones); what they find is
replaced by its kind in brackets. A secret is recognised by its beginning, so that one which is cut short is found, too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

KINDS = {
    "secret": re.compile(
        r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----(?:[^-]|-(?!----)){0,16384}(?:-----END [A-Z ]{0,30}PRIVATE KEY-----)?"
        r"|\b(?=[esprgxABb])(?:eyJ[\w-]{8,}(?:\.[\w-]*){0,4}"
        r"|(?:sk|pk|rk|gsk|xai|gh[opsu]|github_pat|glpat|xox[abps])[-_][\w-]{8,}"
        r"|AIza[\w-]{30,}"
        r"|A(?:KI|SI)A[A-Z0-9]{16}\b"
        r"|[Bb]earer\s{1,8}[\w.~+/=-]{8,})"
    ),
    "email": re.compile(r"(?<![\w.%+-])[\w.%+-]+@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}"),
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
