"""The values that everything is made of: quantities, counted series, load, answers. Plain data and pure functions.

Nothing here knows the data that are made of them, nor reads a file, a clock or a network.
"""
