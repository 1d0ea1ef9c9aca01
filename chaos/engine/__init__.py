"""Runs one experiment: phases and the tick loop. The only place with time and threads.

It decides nothing that judging does not.
"""
