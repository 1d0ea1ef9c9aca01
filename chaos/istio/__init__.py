"""Istio's semantics over plain objects: the one place for each rule. Pure; all other layers stand on it.

- ``hosts``, ``exports``, ``gateways``, ``ports``, ``regex``: how names and fields are read
- ``registry``, ``sidecars``, ``virtual_services``, ``delegates``, ``destination_rules``: what a proxy knows, and in which order
- ``governing``, ``routing``, ``destinations``: whose routes a request gets, and where these send it
- ``injection``, ``proxy``, ``workloads``, ``gateway_api``, ``mesh_config``, ``peer_authentication``: who has which proxy, and what it is told
- ``metrics``, ``grpc``: what Istio's metrics and gRPC call things

What is said here is compared with recorded answers of Istio's own code (``tests/contract/test_istio_answers_*``).
"""
