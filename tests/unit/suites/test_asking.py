"""Requests at the entry, as a gateway sees them."""

from __future__ import annotations

import socket
import ssl
import threading

from chaos_suites.asking import Entry


def test_the_host_is_the_name_for_tls_too() -> None:
    """A gateway with certificates for names ends connections that ask for none, such as those to its address."""
    asked: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = lambda _connection, name, _context: asked.append(name)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            connection, _ = server.accept()
            try:
                context.wrap_socket(connection, server_side=True)
            except OSError:  # it has no certificate to show
                connection.close()

        thread = threading.Thread(target=greet)
        thread.start()
        seen = Entry(f"https://127.0.0.1:{server.getsockname()[1]}", "shop.example").ask("/orders/42")
        thread.join(10)
    assert (asked, seen) == (["shop.example"], {0: 1})
