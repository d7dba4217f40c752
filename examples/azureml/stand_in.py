"""A stand-in of Azure AI Content Safety, to try the safe examples without an account. It protects nobody.

It answers as the service does, and finds severity 6 of violence in texts with one of a few words, and nothing in
any picture.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WORDS = ("bleeding", "laceration")
KEY = "0" * 32


def start() -> dict[str, str]:
    """Answer on this machine from now on; return the variables by which it is reached."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return {
        "CONTENT_SAFETY_ENDPOINT": f"http://127.0.0.1:{server.server_address[1]}",
        "CONTENT_SAFETY_KEY": KEY,
    }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        is_violent = any(word in asked.get("text", "").lower() for word in WORDS)
        found = [
            {"category": name, "severity": 6 if is_violent and name == "Violence" else 0}
            for name in asked["categories"]
        ]
        body = json.dumps({"blocklistsMatch": [], "categoriesAnalysis": found}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """What is asked is nobody else's."""
