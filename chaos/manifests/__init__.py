"""Kubernetes manifests that the command line prints. Nothing here asks a cluster or applies anything."""
