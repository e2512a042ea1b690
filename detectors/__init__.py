"""Numbers and words: what is measured, without a clock, a file, a network or a thread."""
