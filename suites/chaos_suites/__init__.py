"""Suites that put what a team configured on its mesh to the test; ``services.toml`` names the team's services."""
