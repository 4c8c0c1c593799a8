"""OpenStack Swift with its S3 face, of Debian's packages: one of each server on loopback, in a folder of its own.

It checks signatures as AWS does: a URL that was changed, or whose time is over, is refused.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ACCESS_KEY = "test:tester"
SECRET_KEY = "testing"
BUCKET = "nexus"
PROGRAMS = ("swift-proxy-server", "swift-account-server", "swift-container-server", "swift-object-server")
SECONDS = 60.0

CACHE = """
class Cache(dict):
    def __bool__(self):
        return True

    def get(self, key, raise_on_error=False):
        return super().get(key)

    def set(self, key, value, **more):
        self[key] = value

    def incr(self, key, delta=1, **more):
        self[key] = self.get(key) or 0
        self[key] += delta
        return self[key]

    def delete(self, key, **more):
        self.pop(key, None)


def filter_factory(global_conf, **conf):
    cache = Cache()

    def made(app):
        def answer(environ, start_response):
            environ["swift.cache"] = cache
            return app(environ, start_response)

        return answer

    return made
"""
"""In the place of memcached: what was signed in with is kept in the proxy's memory."""

PROXY = """
[pipeline:main]
pipeline = catch_errors cache s3api tempauth slo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:cache]
paste.filter_factory = kept_in_memory:filter_factory
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
[filter:slo]
use = egg:swift#slo
"""
SERVER = """
[pipeline:main]
pipeline = {kind}-server
[app:{kind}-server]
use = egg:swift#{kind}
"""


def available() -> bool:
    """Say whether Swift is installed."""
    return all(shutil.which(program) for program in PROGRAMS)


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Run Swift, make the bucket, and yield the endpoint."""
    ports = _free_ports(4)
    kinds = ("account", "container", "object")
    (folder / "swift.conf").write_text(
        "[swift-hash]\nswift_hash_path_prefix = a\nswift_hash_path_suffix = b\n"
        "[storage-policy:0]\nname = gold\ndefault = yes\n"
    )
    (folder / "kept_in_memory.py").write_text(CACHE)
    (folder / "disks" / "d1").mkdir(parents=True)
    _make_rings(folder, ports[1:])
    for kind, port in zip(kinds, ports[1:], strict=True):
        _configure(folder, kind, port, SERVER.format(kind=kind))
    _configure(folder, "proxy", ports[0], PROXY)
    environment = {**os.environ, "PYTHONPATH": str(folder)}  # noqa: TID251 -- the tests' own
    servers = [
        subprocess.Popen(
            [shutil.which(f"swift-{kind}-server") or "", str(folder / f"{kind}.conf")],
            env=environment,
            stdout=(folder / f"{kind}.log").open("wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        for kind in (*kinds, "proxy")
    ]
    try:
        for port in ports:
            _until_listening(port)
        yield f"http://127.0.0.1:{ports[0]}"
    finally:
        for server in servers:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait(SECONDS)


RINGS = """
import sys
from swift.common.ring import RingBuilder
for kind, port in zip(("account", "container", "object"), sys.argv[1:]):
    builder = RingBuilder(2, 1, 0)
    place = {"ip": "127.0.0.1", "port": int(port), "replication_ip": "127.0.0.1", "replication_port": int(port)}
    builder.add_dev({"id": 0, "region": 1, "zone": 1, "weight": 100.0, "device": "d1", "meta": "", **place})
    builder.rebalance()
    builder.get_ring().save(kind + ".ring.gz")
"""


def _make_rings(folder: Path, ports: Sequence[int]) -> None:
    # Swift is the system's Python's, as its programs say in their first line.
    words = ["/usr/bin/python3", "-c", RINGS, *map(str, ports)]
    done = subprocess.run(words, cwd=folder, capture_output=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stderr


def _configure(folder: Path, kind: str, port: int, rest: str) -> None:
    (folder / f"{kind}.conf").write_text(
        f"[DEFAULT]\nbind_ip = 127.0.0.1\nbind_port = {port}\nworkers = 0\nswift_dir = {folder}\n"
        f"devices = {folder / 'disks'}\nmount_check = false\nuser = {_user()}\nlog_address = /nowhere\n"
        f"log_level = ERROR\nfallocate_reserve = 0\n{rest}"
    )


def _user() -> str:
    import pwd

    return pwd.getpwuid(os.getuid()).pw_name


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _until_listening(port: int) -> None:
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthcheck", timeout=5).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            assert time.monotonic() < deadline, f"nobody listens at {port}"
            time.sleep(0.05)
        else:
            return
