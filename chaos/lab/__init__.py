"""The embedded staging mesh: real Envoys, a real Prometheus, a small Kubernetes API, stand-in services, on loopback.

Nothing outside this package imports it or depends on it being a lab: it serves the interfaces of a cluster. One
supervisor process owns every part; when it ends, in whatever way, the kernel ends the parts with it. What the lab does
not support it must reject, never ignore.

- ``door``: all that the harness uses, behind the entry point ``chaos.lab``
- ``cli``: the commands of ``chaosctl lab``; ``commands``: what they do
- ``supervisor``: the process that owns a lab; ``processes``: its children; ``state``: where a lab keeps its files
- ``reading``: the user's manifests; ``behaviours``: what answers for their workloads
- ``controller``: Deployments into Pods, Services into Endpoints; ``pods``: Pods into processes
- ``workloads``: the stand-in services; ``containers``: the user's own processes, which ``runtime`` makes
- ``shop``: the demo shop's manifests; ``prometheus``: the metrics server
- ``api``: the Kubernetes API; ``istio``: Istio's resources into Envoy's configuration
"""
