"""Wire formats of providers, as codecs that do no I/O."""
