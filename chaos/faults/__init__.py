"""The kinds of fault, one file each. Pure."""
