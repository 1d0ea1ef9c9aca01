"""A mesh, its metrics, a load and time, all in memory: whole runs in milliseconds, for tests of suites, listeners and kinds."""
