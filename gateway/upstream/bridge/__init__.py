"""The long tail of providers, spoken to through the litellm SDK."""
