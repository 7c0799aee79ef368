"""Standard Webhooks, by its own package. Says what it saw in the lines that ../README.md describes."""

import base64
import http.server
import json
import os
import sys
import threading

from standardwebhooks import Webhook

SECRETS = os.environ.get("WEBHOOK_SECRETS", "").split(",")


def line(value):
    print(json.dumps(value), flush=True)


def accepts(secret, body, headers):
    try:
        Webhook(secret).verify(body, headers)
        return True
    except Exception:
        return False


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        accepted = [accepts(secret, body, headers) for secret in SECRETS]
        status = 200 if any(accepted) else 401
        line({"accepted": accepted, "status": status, "headers": headers, "body": base64.b64encode(body).decode()})
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
line({"port": server.server_address[1]})
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
