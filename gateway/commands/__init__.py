"""The commands of `llmgw`, one file each: `add_parser` says what they take, `run` does it and gives the exit code."""
