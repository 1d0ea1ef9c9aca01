"""The outside world: the only modules that import the kubernetes, Prometheus and Locust clients.

They ask and write what they are told to; whether that is allowed, and what it means, is decided elsewhere.
"""
