"""The outside world: the only modules that import the kubernetes, Prometheus and Locust clients."""
