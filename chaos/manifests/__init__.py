"""Kubernetes manifests that the command line prints."""
