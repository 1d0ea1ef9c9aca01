"""The package of the page about reports of one's own, as if it were installed, and the chat that it posts to."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "how-to" / "own-report.md"


def blocks(language: str) -> list[str]:
    """The page's code of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def install(folder: Path, *, code: str | None = None, **listeners: str) -> dict[str, str]:
    """Puts the page's package, or other code, into a folder with the metadata that pip would write.

    Args:
        folder: Where to.
        code: Of the module ``chat_verdict``; the page's where absent.
        listeners: Entry points; the page's where there is none.

    Returns:
        The environment in which it is installed.
    """
    assert 'chat = "chat_verdict:Chat"' in blocks("toml")[0]
    metadata = folder / "chat_verdict-1.0.dist-info"
    metadata.mkdir(parents=True)
    (folder / "chat_verdict.py").write_text(blocks("python")[0] if code is None else code, encoding="utf-8")
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: chat-verdict\nVersion: 1.0\n")
    offered = listeners or {"chat": "chat_verdict:Chat"}
    lines = [f"{name} = {value}\n" for name, value in offered.items()]
    (metadata / "entry_points.txt").write_text("".join(["[chaos.listeners]\n", *lines]))
    root = Path(__file__).parents[1]
    return {"PYTHONPATH": f"{root}{os.pathsep}{folder}", "NO_PROXY": "127.0.0.1"}


@contextmanager
def chat() -> Iterator[tuple[str, list[str]]]:
    """A webhook's address, and the texts that were posted to it."""
    texts: list[str] = []

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            texts.append(json.loads(body)["text"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Silent."""

    server = HTTPServer(("127.0.0.1", 0), Webhook)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hook", texts
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
