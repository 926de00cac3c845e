"""Money and tokens held before a call and settled after it: the nouns, and the rules that keep every account within its limit."""
