"""OpenAI's responses as providers speak them: requests written as items, answers read from events."""
