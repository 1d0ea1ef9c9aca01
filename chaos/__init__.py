"""Chaos experiments for services on an Istio mesh."""

__version__ = "0.1.0"
