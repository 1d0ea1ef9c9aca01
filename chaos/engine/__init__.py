"""Runs one experiment: phases and looks. The only place with time and threads.

It decides nothing that judging does not.
"""
