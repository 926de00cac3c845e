"""llmgw: an OpenAI-compatible gateway between applications and model providers. Read flow.py first."""
