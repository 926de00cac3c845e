"""OpenAI's responses as clients speak them: requests read into chat's terms, answers told as items and events."""
