"""The tests, flat; what several of them share is imported as `tests.<file>`."""
