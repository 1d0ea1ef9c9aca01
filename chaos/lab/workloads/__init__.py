"""Stand-in services: one process answers for every application container of the lab, as its Deployment declares.

- ``behaviour``: what a stand-in does, read from the annotation of its pod template
- ``standin``: one stand-in: answers requests, calls other services through its sidecar
- ``client``, ``grpc_client``: its calls
- ``http2``, ``grpc``: what it answers beside HTTP/1.1
- ``server``: the process: listens on every stand-in's own sockets, takes orders from the supervisor
- ``pod``: one of them in a pod of a real cluster
- ``host``: the supervisor's end of that process
"""
