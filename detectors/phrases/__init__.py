"""Prohibited phrases: from a lexicon and a text to hits with their place in the original text."""
