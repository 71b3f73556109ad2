"""A third party's webhook receiver, written from docs/alerts.md alone: the standard library, nothing else.

Prints "READY <port>" when it listens, then one JSON line for each message it takes for the first time:
  alert     the body
  at_ms     CLOCK_REALTIME when it was taken
A message without a good signature, a fresh time stamp and the right key is answered 400 and printed as
{"refused": why}.
"""

import hashlib
import hmac
import http.server
import json
import pathlib
import sys
import threading
import time

SECRET = pathlib.Path(sys.argv[1]).read_text().strip().encode()
FRESH_S = 300
taken = set()
lock = threading.Lock()


def genuine(secret, timestamp, body, signature):
    mac = hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256)
    return hmac.compare_digest("sha256=" + mac.hexdigest(), signature)


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=b""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_OPTIONS(self):
        self.answer(200)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        timestamp = self.headers.get("X-Stairgate-Timestamp", "")
        signature = self.headers.get("X-Stairgate-Signature", "")
        why = None
        alert = json.loads(body)
        key = "%s.%d" % (alert["id"], alert["revision"])
        if not genuine(SECRET, timestamp, body, signature):
            why = "signature"
        elif abs(time.time() - int(timestamp)) > FRESH_S:
            why = "timestamp"
        elif self.headers.get("Idempotency-Key") != key:
            why = "key"
        if why:
            print(json.dumps({"refused": why}), flush=True)
            self.answer(400, json.dumps({"reason": why}).encode())
            return
        with lock:
            if key not in taken:
                taken.add(key)
                print(json.dumps({"alert": alert, "at_ms": time.time_ns() // 1_000_000}), flush=True)
        self.answer(200, json.dumps({"reference": "PY-%d" % len(taken)}).encode())


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
print("READY %d" % server.server_port, flush=True)
server.serve_forever()
