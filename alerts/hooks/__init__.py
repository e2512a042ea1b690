"""What chat platforms ask before they deliver a message: their own requests read, their own answers written; no I/O."""
