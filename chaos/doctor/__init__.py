"""``chaosctl doctor``: what is wrong with a mesh and with what the harness needs there, each with its usual cause and a hint.

A check is a function of what was examined, in a file of its own; ``table.py`` has them all. Nothing is written.
"""
