"""One file for each check, or for a few that look at the same."""
