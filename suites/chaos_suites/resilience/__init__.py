"""Time-outs, retries, breakers, ejection, and what services do without their dependencies."""
