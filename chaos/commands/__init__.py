"""The commands of ``chaosctl`` that belong together, one file per group; ``chaos/cli.py`` has the rest and puts them together."""
