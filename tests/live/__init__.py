"""What is asked of a real cluster: not part of the usual tests, since there is none."""
