#!/usr/bin/python3
"""A third party's RTSP camera: gst-rtsp-server on loopback, one stream at /cam.

Plays the frames of a file (or of a made test picture) in real time and for ever, like a camera: the stream
runs whether anyone watches or not, so a client that connects may come in the middle of a GOP.

Prints "READY <port>" when it listens. With --log, writes one JSON line for each frame it sends:
  n        frames since the server started, from 0 (also those nobody watched)
  idx      n modulo the number of frames in the file: the frame's place in the file
  key      whether it is a key frame
  mono_ns  CLOCK_MONOTONIC when it was handed to the payloader
  wall_ns  CLOCK_REALTIME at the same moment
"""

import argparse
import json
import signal
import sys
import threading
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstApp, GstRtsp, GstRtspServer  # noqa: E402,F401

PAYLOADER = {"h264": "rtph264pay", "h265": "rtph265pay"}
FORMAT = {"h264": "video/x-h264,stream-format=avc,alignment=au",
          "h265": "video/x-h265,stream-format=hvc1,alignment=au"}


def source(options):
    """The head of the pipeline that gives the stream's access units."""
    parse = options.codec + "parse"
    if options.file is None:
        encoder = {
            "h264": "x264enc tune=zerolatency speed-preset=ultrafast bframes=0 "
                    "option-string=scenecut=0 key-int-max=%d" % options.gop,
            "h265": "x265enc tune=zerolatency speed-preset=ultrafast "
                    "option-string=bframes=0:scenecut=0:open-gop=0 key-int-max=%d" % options.gop,
        }[options.codec]
        return ("videotestsrc pattern=ball num-buffers=%d ! "
                "video/x-raw,format=I420,width=320,height=240,framerate=%d/1 ! %s ! %s"
                % (options.gop * 4, options.fps, encoder, parse))
    demux = "qtdemux ! " if options.file.endswith(".mp4") else ""
    return "filesrc location=\"%s\" ! %s%s" % (options.file, demux, parse)


def read_frames(options):
    """All access units of the stream, its caps, and the time of one frame in ns."""
    pipeline = Gst.parse_launch(source(options) + " ! " + FORMAT[options.codec]
                                + " ! appsink name=sink sync=false max-buffers=16")
    sink = pipeline.get_by_name("sink")
    pipeline.set_state(Gst.State.PLAYING)
    frames, caps = [], None
    while True:
        sample = sink.emit("try-pull-sample", 20 * Gst.SECOND)
        if sample is None:
            break
        caps = sample.get_caps()
        buffer = sample.get_buffer()
        data = buffer.extract_dup(0, buffer.get_size())
        frames.append((data, not buffer.has_flags(Gst.BufferFlags.DELTA_UNIT)))
    error = pipeline.get_bus().pop_filtered(Gst.MessageType.ERROR)
    pipeline.set_state(Gst.State.NULL)
    if error is not None or not frames:
        sys.exit("read %s: %s" % (options.file, error.parse_error()[0] if error else "no frames"))
    known, num, den = caps.get_structure(0).get_fraction("framerate")
    fps = num / den if known and num else options.fps
    return frames, caps, int(Gst.SECOND / fps)


class Stream:
    """The endless stream: frame n is due at epoch + n * period."""

    def __init__(self, options):
        self.frames, self.caps, self.period_ns = read_frames(options)
        self.epoch_ns = time.monotonic_ns()
        self.log = open(options.log, "w", buffering=1) if options.log else None
        self.lock = threading.Lock()
        self.n_logged = -1

    def feed(self, appsrc):
        """Pushes frames when they are due, until the client has gone."""
        # Its clock and its base time are set one after the other on the way to PLAYING.
        while appsrc.get_state(0).state != Gst.State.PLAYING:
            time.sleep(0.001)
        n = (time.monotonic_ns() - self.epoch_ns) // self.period_ns + 1
        first, first_pts = n, None
        while True:
            wait_ns = self.epoch_ns + n * self.period_ns - time.monotonic_ns()
            if wait_ns > 0:
                time.sleep(wait_ns / 1e9)
            if first_pts is None:
                first_pts = max(0, appsrc.get_clock().get_time() - appsrc.get_base_time())
            data, key = self.frames[n % len(self.frames)]
            buffer = Gst.Buffer.new_wrapped(data)
            buffer.pts = buffer.dts = first_pts + (n - first) * self.period_ns
            buffer.duration = self.period_ns
            if not key:
                buffer.set_flags(Gst.BufferFlags.DELTA_UNIT)
            self.write(n, key)
            if appsrc.emit("push-buffer", buffer) != Gst.FlowReturn.OK:
                return
            n += 1

    def write(self, n, key):
        if self.log is None:
            return
        line = {"n": n, "idx": n % len(self.frames), "key": key,
                "mono_ns": time.monotonic_ns(), "wall_ns": time.time_ns()}
        with self.lock:
            if n > self.n_logged:
                self.n_logged = n
                self.log.write(json.dumps(line) + "\n")


def authenticate(server, factory, options):
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    if options.auth == "basic":
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.BASIC)
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(options.user, options.password), token)
    else:
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        auth.add_digest(options.user, options.password, token)
    role = Gst.Structure.new_empty("viewer")
    role.set_value("media.factory.access", True)
    role.set_value("media.factory.construct", True)
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_role_from_structure(role)
    factory.set_permissions(permissions)
    server.set_auth(auth)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--file", help="an .mp4, .h264 or .h265 file; without it a made picture")
    parser.add_argument("--codec", choices=("h264", "h265"), default="h264")
    parser.add_argument("--fps", type=int, default=25, help="for streams that do not say it")
    parser.add_argument("--gop", type=int, default=50, help="frames; only for the made picture")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--auth", choices=("none", "basic", "digest"), default="none")
    parser.add_argument("--user", default="")
    parser.add_argument("--password", default="")
    parser.add_argument("--log")
    options = parser.parse_args()

    Gst.init(None)
    stream = Stream(options)
    server = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service(str(options.port))
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch("( appsrc name=src is-live=true format=time ! %s name=pay0 pt=96 "
                       "config-interval=-1 )" % PAYLOADER[options.codec])
    factory.set_shared(True)
    factory.set_protocols(GstRtsp.RTSPLowerTrans.TCP | GstRtsp.RTSPLowerTrans.UDP)

    def configured(_factory, media):
        appsrc = media.get_element().get_by_name("src")
        appsrc.set_property("caps", stream.caps)
        threading.Thread(target=stream.feed, args=(appsrc,), daemon=True).start()

    factory.connect("media-configure", configured)
    server.get_mount_points().add_factory("/cam", factory)
    if options.auth != "none":
        authenticate(server, factory, options)
    if not server.attach(None):
        sys.exit("listen on 127.0.0.1:%d" % options.port)
    print("READY %d" % server.get_bound_port(), flush=True)
    loop = GLib.MainLoop()
    GLib.unix_signal_add(GLib.PRIORITY_HIGH, signal.SIGTERM, loop.quit)
    loop.run()


if __name__ == "__main__":
    main()
