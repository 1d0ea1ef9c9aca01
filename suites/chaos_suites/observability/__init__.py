"""Key metrics, alerts and trace headers."""
