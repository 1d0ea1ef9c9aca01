"""Defect: waits for its dependency as long as that takes."""

import http.server
import json
import os
import urllib.request

TIME_OUT = 0.3 if os.environ.get("MENDED") else None


class Orders(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        try:
            with urllib.request.urlopen("http://stock/items/42", timeout=TIME_OUT) as answer:
                stock = json.load(answer)
        except OSError:
            stock = None
        body = json.dumps({"order": 1, "stock": stock}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Says nothing."""


http.server.ThreadingHTTPServer(("", 8080), Orders).serve_forever()
