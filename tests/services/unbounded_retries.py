"""Defect: asks again and again while its dependency is down, which makes an outage worse. On urllib3."""

import http.server
import os

import urllib3

TRIES = 2 if os.environ.get("MENDED") else 10
pool = urllib3.PoolManager(maxsize=50, timeout=2.0, retries=False)


def stock() -> bytes:
    for _ in range(TRIES):
        try:
            answer = pool.request("GET", "http://stock.default.svc.cluster.local/items/42")
        except urllib3.exceptions.HTTPError:
            continue
        if answer.status == 200:
            return answer.data
    return b'"unknown"'


class Orders(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = b'{"order": 1, "stock": %b}' % stock()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Says nothing."""


http.server.ThreadingHTTPServer(("", 8080), Orders).serve_forever()
