"""A third party's duty-room program: reads AlertFeed with grpcio, and comes back where it was.

  follow        prints one JSON line for each record, and keeps its cursor in the file --cursor
  acknowledge   says that it takes care of --alert; prints the answer as JSON
  clip          fetches the clip of --entry into --out; prints bytes and SHA-256 as JSON
"""

import argparse
import hashlib
import json
import pathlib
import time

import grpc
from google.protobuf import json_format

import stubs

_, feed_pb2, feed_pb2_grpc, _, _ = stubs.load()


def say(**facts):
    print(json.dumps(facts), flush=True)


def follow(feed, metadata, options):
    while True:
        cursor = options.cursor.read_text() if options.cursor.exists() else ""
        request = feed_pb2.SubscribeRequest(after_cursor=cursor)
        try:
            for record in feed.Subscribe(request, metadata=metadata):
                facts = json_format.MessageToDict(record.alert, preserving_proto_field_name=True)
                say(cursor=record.cursor, alert=facts, at_ms=time.time_ns() // 1_000_000)
                # Worked off: from here it goes on, whatever happens to it or to the gateway.
                options.cursor.write_text(record.cursor)
        except grpc.RpcError as err:
            if err.code() != grpc.StatusCode.UNAVAILABLE:
                raise
        time.sleep(0.1)


def acknowledge(feed, metadata, options):
    request = feed_pb2.AcknowledgeRequest(alert_id=options.alert)
    answer = feed.Acknowledge(request, metadata=metadata, timeout=10)
    say(by=answer.acknowledged_by, at_ms=answer.acknowledged_at_unix_ms)


def clip(feed, metadata, options):
    request = feed_pb2.GetClipRequest(entry_id=options.entry)
    whole, sha256 = bytearray(), None
    for chunk in feed.GetClip(request, metadata=metadata, timeout=30):
        assert chunk.offset_bytes == len(whole), "chunks follow each other"
        whole += chunk.data
        sha256 = sha256 or chunk.sha256
        total = chunk.total_bytes
    assert len(whole) == total, "the file is whole"
    options.out.write_bytes(whole)
    say(bytes=total, told=sha256, sha256=hashlib.sha256(whole).hexdigest())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["follow", "acknowledge", "clip"])
    parser.add_argument("--target", required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--cursor", type=pathlib.Path)
    parser.add_argument("--alert")
    parser.add_argument("--entry")
    parser.add_argument("--out", type=pathlib.Path)
    options = parser.parse_args()
    metadata = [("authorization", "Bearer " + options.token)]
    # A gateway that restarts is tried again at once, not after grpcio's growing pauses.
    settings = [("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 500)]
    with grpc.insecure_channel(options.target, settings) as channel:
        feed = feed_pb2_grpc.AlertFeedStub(channel)
        {"follow": follow, "acknowledge": acknowledge, "clip": clip}[options.what](feed, metadata, options)


main()
