"""Answers to questions that were asked in other words, served only where that has been shown to be safe."""
