"""Frozen data and pure rules about it. Nothing here reads a file, a clock or a network."""
