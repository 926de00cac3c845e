"""A new version of a template beside the one that is served: what is counted, when it is stepped back, and who said otherwise."""
