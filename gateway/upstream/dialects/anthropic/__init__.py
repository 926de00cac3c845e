"""Anthropic's messages as providers speak them: written from chat's terms or spliced from the client's bytes, and read back."""
