"""Python's own reading of proto/: stubs made by grpcio-tools, which has a protoc of its own."""

import importlib.resources
import pathlib
import sys
import tempfile

import grpc_tools
from grpc_tools import protoc

PROTO = pathlib.Path(__file__).resolve().parents[3] / "proto"
FILES = ["alert", "feed", "sink"]


def load():
    """The modules (alert_pb2, feed_pb2, feed_pb2_grpc, sink_pb2, sink_pb2_grpc)."""
    out = tempfile.mkdtemp(prefix="stairgate-stubs-")
    well_known = str(importlib.resources.files(grpc_tools) / "_proto")
    arguments = ["protoc", f"-I{PROTO}", f"-I{well_known}", f"--python_out={out}", f"--grpc_python_out={out}"]
    arguments += [f"stairgate/linkage/v1/{name}.proto" for name in FILES]
    if protoc.main(arguments) != 0:
        raise SystemExit("protoc of grpcio-tools refuses the files")
    sys.path.insert(0, out)
    from stairgate.linkage.v1 import alert_pb2, feed_pb2, feed_pb2_grpc, sink_pb2, sink_pb2_grpc

    return alert_pb2, feed_pb2, feed_pb2_grpc, sink_pb2, sink_pb2_grpc
