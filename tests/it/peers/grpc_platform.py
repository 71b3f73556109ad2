"""A third party's police platform: AlertSink served by grpcio on loopback.

Prints "READY <port>" when it listens, then one JSON line for each message it takes for the first time:
  alert     the message as protobuf's own JSON
  at_ms     CLOCK_REALTIME when it was taken
How it behaves is read from the file --manner at each call: takes, refuses, not-ready, hangs (until the
file changes) or breaks-off.
"""

import argparse
import concurrent.futures
import json
import pathlib
import signal
import threading
import time

import grpc
from google.protobuf import json_format

import stubs

_, _, _, sink_pb2, sink_pb2_grpc = stubs.load()


class Platform(sink_pb2_grpc.AlertSinkServicer):
    def __init__(self, token, manner):
        self.token = token
        self.manner_file = manner
        self.lock = threading.Lock()
        self.taken = set()

    def manner(self):
        return self.manner_file.read_text().strip() if self.manner_file else "takes"

    def know(self, context):
        sent = dict(context.invocation_metadata()).get("authorization")
        if sent != "Bearer " + self.token:
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "wrong token")
        if context.time_remaining() is None:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "a call without a deadline")

    def take(self, alert):
        key = (alert.alert_id, alert.revision)
        with self.lock:
            if key not in self.taken:
                self.taken.add(key)
                facts = json_format.MessageToDict(alert, preserving_proto_field_name=True)
                print(json.dumps({"alert": facts, "at_ms": time.time_ns() // 1_000_000}), flush=True)

    def Deliver(self, request, context):
        self.know(context)
        manner = self.manner()
        if manner == "refuses":
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "as told")
        if manner == "not-ready":
            context.abort(grpc.StatusCode.UNAVAILABLE, "as told")
        self.take(request.alert)
        while self.manner() == "hangs" and context.is_active():
            time.sleep(0.01)
        if manner == "breaks-off":
            context.cancel()
        return sink_pb2.Receipt(reference="PY-%d" % len(self.taken))

    def Check(self, request, context):
        self.know(context)
        return sink_pb2.CheckResponse()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--token", required=True)
    parser.add_argument("--manner", type=pathlib.Path)
    options = parser.parse_args()
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=64))
    sink_pb2_grpc.add_AlertSinkServicer_to_server(Platform(options.token, options.manner), server)
    port = server.add_insecure_port("127.0.0.1:%d" % options.port)
    server.start()
    print("READY %d" % port, flush=True)
    signal.sigwait([signal.SIGTERM, signal.SIGINT])
    server.stop(1).wait()


signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
main()
