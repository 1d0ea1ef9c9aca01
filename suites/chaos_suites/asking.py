"""Requests at the mesh's entry, outside of experiments."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import local
from typing import Final

import httpx
import pytest

from chaos.values.secrets import redacted

PODS: Final = 10
"""Requests for a look that has to see all pods of a service: each has configuration of its own."""
_AT_ONCE: Final = 8
_SECONDS: Final = 30.0


class Entry:
    """The mesh's entry. Its certificate is not looked at; the ingress suite does that.

    Args:
        url: Its address.
        host: The Host header and the TLS name.
    """

    def __init__(self, url: str, host: str | None) -> None:
        self._url, self._host = url.rstrip("/"), host

    def ask(
        self, path: str, times: int = 1, *, method: str = "GET", headers: Mapping[str, str] | None = None
    ) -> Counter[int]:
        """The statuses of answers to so many requests; a request without an answer counts as status 0."""
        mine, made = local(), ExitStack()
        named = {"sni_hostname": self._host} if self._host else {}

        def one(_: int) -> int:
            if not hasattr(mine, "client"):
                mine.client = made.enter_context(self._client(headers or {}))
            client: httpx.Client = mine.client
            try:
                return client.request(method, path, extensions=named).status_code
            except httpx.TransportError:
                return 0

        with made, ThreadPoolExecutor(min(_AT_ONCE, times)) as pool:
            return Counter(pool.map(one, range(times)))

    def must_answer(
        self, path: str, times: int, *, method: str = "GET", headers: Mapping[str, str] | None = None
    ) -> None:
        """Sends requests that all have to succeed: what went wrong with one says nothing of who answers.

        Fails the test if one did not.
        """
        seen = self.ask(path, times, method=method, headers=headers)
        if bad := {status: number for status, number in seen.items() if not 200 <= status < 400}:
            pytest.fail(
                f"expected an answer without an error to each {method} {redacted(path)}, and got {_told(bad)} of {times}",
                pytrace=False,
            )

    def _client(self, headers: Mapping[str, str]) -> httpx.Client:
        named = {"Host": self._host, **headers} if self._host else headers
        return httpx.Client(base_url=self._url, headers=named, trust_env=False, verify=False, timeout=_SECONDS)  # noqa: S501


def _told(statuses: Mapping[int, int]) -> str:
    return ", ".join(f"{number} times {status or 'nothing'}" for status, number in sorted(statuses.items()))
