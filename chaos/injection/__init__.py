"""What to write for a fault, and how it is undone. Pure: nothing here reads or writes a cluster."""
