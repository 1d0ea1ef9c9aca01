"""Splits, routes by header, mirrors and the ingress."""
