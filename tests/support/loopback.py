"""``httpx`` for plain HTTP on this machine: directly, and without the machine's certificates, which take 20 ms each time to load.

Whoever polls with ``httpx.get`` keeps a processor busy, beside which others are to be measured.
"""

from __future__ import annotations

import ssl
from functools import partial

import httpx

_NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

get = partial(httpx.get, trust_env=False, verify=_NO_AUTHORITIES)
post = partial(httpx.post, trust_env=False, verify=_NO_AUTHORITIES)
put = partial(httpx.put, trust_env=False, verify=_NO_AUTHORITIES)
delete = partial(httpx.delete, trust_env=False, verify=_NO_AUTHORITIES)
request = partial(httpx.request, trust_env=False, verify=_NO_AUTHORITIES)
Client = partial(httpx.Client, trust_env=False, verify=_NO_AUTHORITIES)
