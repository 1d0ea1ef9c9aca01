"""Mutual TLS, identities and authorization."""
