"""What makes sure that no fault outlives its run: lease, watchdog, sweep, and the look for residue.

Everything that cleaning up has to know is on the objects in the cluster; nothing here keeps state of its own.
"""
