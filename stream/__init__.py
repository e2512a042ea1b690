"""Kafka and Faust: how audio and messages come in, and how verdicts and scores go out."""
