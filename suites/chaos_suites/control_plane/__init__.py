"""Versions, and what happens while istiod is down."""
