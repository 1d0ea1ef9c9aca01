"""How the API is reached: over TLS with a token, by a kubeconfig; and over plain HTTP for the lab's own parts."""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from chaos.lab.istio.authority import Authority

Asgi = Callable[
    [
        MutableMapping[str, Any],
        Callable[[], Awaitable[MutableMapping[str, Any]]],
        Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ],
    Awaitable[None],
]


class Server(uvicorn.Server):
    """uvicorn, but signals stay ours."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves them alone."""
        yield


class Credentials:
    """The API server's own authority and certificate, and the administrator's token, in files that only the user may read.

    Args:
        folder: Where the files are; made if it isn't there.
    """

    def __init__(self, folder: Path) -> None:
        authority = Authority()
        own = authority.issue_for_server("127.0.0.1", "localhost", "kubernetes", "kubernetes.default.svc")
        self.token = secrets.token_urlsafe(32)
        self.authority, self.certificate, self.key = folder / "ca.crt", folder / "server.crt", folder / "server.key"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path, text in ((self.authority, authority.root), (self.certificate, own.chain), (self.key, own.key)):
            path.touch(mode=0o600)
            path.write_text(text, encoding="ascii")


def server(application: Asgi, *, credentials: Credentials | None = None) -> Server:
    """A server for this application; over TLS with credentials, else plain."""
    files: dict[str, Any] = {}
    if credentials is not None:
        files = {"ssl_certfile": str(credentials.certificate), "ssl_keyfile": str(credentials.key)}
    return Server(
        uvicorn.Config(
            application,
            lifespan="off",
            log_level="error",
            access_log=False,
            timeout_keep_alive=600,  # longer than clients keep theirs, so that no request meets a closing connection
            timeout_graceful_shutdown=0,
            **files,
        )
    )


def kubeconfig(context: str, address: str, credentials: Credentials, *, namespace: str = "staging") -> str:
    """A kubeconfig with one context, which isn't the current one of anybody else's."""
    cluster = {"server": address, "certificate-authority": str(credentials.authority)}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": context, "cluster": cluster}],
            "users": [{"name": context, "user": {"token": credentials.token}}],
            "contexts": [{"name": context, "context": {"cluster": context, "user": context, "namespace": namespace}}],
            "current-context": context,
        },
        indent=2,
    )
