"""The trace of one call, told from its record: as spans, as OTLP bytes, and sent to whoever collects them."""
