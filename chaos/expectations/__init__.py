"""The kinds of expectation, one file each, and how events are counted and decided. Pure."""
