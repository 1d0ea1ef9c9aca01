"""Listeners of a run's events, and what they leave: words, pictures, records, Allure's results.

They tell what happened and change nothing of it: no listener has a say in a run or in its verdict.
"""
