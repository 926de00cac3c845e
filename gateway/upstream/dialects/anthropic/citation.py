"""What a text is founded on, as an annotation of OpenAI's."""

from __future__ import annotations

from typing import Any


def annotation(citation: Any) -> dict[str, Any] | None:
    """Of a page found in the web; chat has no word for places in documents."""
    if not isinstance(citation, dict) or not isinstance(citation.get("url"), str):
        return None
    title = citation.get("title")
    cited = {"url": citation["url"], "title": title if isinstance(title, str) else "", "start_index": 0, "end_index": 0}
    return {"type": "url_citation", "url_citation": cited}
