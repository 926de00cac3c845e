"""Anthropic's messages as clients speak them: read into chat's terms, and answered in their own."""
