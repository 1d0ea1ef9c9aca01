"""Istio's semantics over plain objects: hosts, visibility, precedence, selection. Pure; all other layers stand on it.

What is said here is held against recorded answers of Istio's own code (``tests/contract/test_istio_answers_*``).
"""
