"""Figures, measured where two things can be compared in one run; never part of the tests."""
