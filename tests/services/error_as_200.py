"""Defect: answers 200 with an error in it. On Requests."""

import http.server
import json
import os

import requests


class Orders(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        said = {"item": "42", "left": "unknown"} if os.environ.get("MENDED") else {"error": "stock is down"}
        try:
            answer = requests.get("http://stock/items/42", timeout=0.3)
            if answer.ok:
                said = answer.json()
        except requests.RequestException:
            pass
        body = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Says nothing."""


http.server.ThreadingHTTPServer(("", 8080), Orders).serve_forever()
