"""A worker from its first message to the end of its channel."""

import io
import signal
import sys

from nexus.plugins.worker.channel import Channel
from nexus.plugins.worker.confine import confine
from nexus.plugins.worker.service import Service


def main(descriptor: int) -> None:
    """Take the setup, give up all rights but the granted ones, and answer requests until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    channel = Channel(descriptor)
    setup = channel.receive()
    if setup is None:
        return
    sys.path[:0] = [path for path in setup["search"] if path not in sys.path]
    for stream in (sys.stdout, sys.stderr):  # noqa: TID251 -- the worker's own, which lead to the caller's stderr
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True, errors="backslashreplace")
    service = Service(channel, setup)
    channel.send({"is": "ready", "walls": confine(setup["rights"])})
    while (request := channel.receive()) is not None:
        if request["do"] != "input":
            # Input for what has ended meanwhile is nobody's.
            service.answer(request)
