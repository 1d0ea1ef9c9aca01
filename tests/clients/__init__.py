"""Clients that others wrote, on the lab's API: ``make clients`` prints a table of what each did.

Each has an environment of its own with the packages of its lock file here, since their needs contradict each other and the
harness's. kubectl is taken from PATH, and two more versions are built from Go's modules where Go is installed.
"""
