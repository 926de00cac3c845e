"""What the semantic cache finds and gets wrong on labelled questions."""
