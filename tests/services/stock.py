"""What the others depend on. It is well."""

import http.server
import json


class Stock(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = json.dumps({"item": self.path.rpartition("/")[2], "left": 7}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Says nothing."""


http.server.ThreadingHTTPServer(("", 8080), Stock).serve_forever()
