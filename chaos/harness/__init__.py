"""The harness: one object that plans, runs, judges and cleans up. It alone knows both the engine and the adapters."""
