"""The commands of ``chaosctl`` that belong together, one file per group; ``chaos/cli.py`` has the rest and puts them together.

They read options and print what they are told; nothing below knows how an option is spelled.
"""
