"""A small server that speaks TLS, one connection after the other."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.certificates import Authority, certificate, pem


@contextmanager
def over_tls(
    folder: Path, name: str, authority: Authority, *, wants_certificate: bool = False
) -> Iterator[tuple[str, list[str]]]:
    """The address of a server with a certificate for a name, which answers everything with 200, and what it was asked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for file, text in zip(("c.pem", "k.pem"), pem(*certificate(name, authority=authority)), strict=True):
        (folder / file).write_text(text)
    context.load_cert_chain(folder / "c.pem", folder / "k.pem")
    if wants_certificate:
        context.verify_mode, context.maximum_version = ssl.CERT_REQUIRED, ssl.TLSVersion.TLSv1_2
    seen: list[str] = []
    context.sni_callback = lambda _socket, asked, _context: seen.append(f"sni {asked}")
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                try:
                    with connection, context.wrap_socket(connection, server_side=True) as secure:
                        if heard := secure.recv(65536).decode():
                            seen.extend(line for line in heard.splitlines() if line.lower().startswith("host"))
                            secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                except OSError:
                    pass  # a handshake that is meant to fail

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"https://127.0.0.1:{listening.getsockname()[1]}", seen
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(5)
