"""What a call costs between every dialect of a client and every dialect of a provider, beside LiteLLM's proxy."""
