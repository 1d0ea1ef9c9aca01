"""The harness: one object that plans, runs, judges and cleans up. It alone knows both the engine and the adapters.

It puts parts together: no verdict, no rule of staging and no write to a cluster is its own.
"""
