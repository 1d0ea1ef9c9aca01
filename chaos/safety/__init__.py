"""What cleans up when a run can't: leases that tell whether somebody is alive, the watchdog, the sweep."""
