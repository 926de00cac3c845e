"""Routing to cheaper models, judged on prompts whose answers by several models were graded."""
