"""The user's own processes in the place of stand-ins: what a container runtime, a kubelet and cluster DNS do for them.

- ``process``: what the user declares; ``environment``: the variables that its container has by the manifest
- ``init``: process 1 of such a container, which starts the user's command and ends with all that it has started
- ``intercept``: how the kernel asks ``init`` about the command's sockets; ``redirect``: where these are led; ``names``: DNS
- ``container``: the supervisor's side: restarts; ``probes``: whether it answers; ``directory``: what processes know of services
"""
