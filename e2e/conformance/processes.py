"""Processes that the runner starts, and the ports they get.

Each ends with the runner, also when that is killed; nothing of the runner's own settings reaches it.
"""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request


def clean_environment(**further):
    """What every child gets: a path, a language, and `further`."""
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LANG": "C.UTF-8", **further}


def free_ports(count):
    """So many ports of loopback that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def free_pair(tries=200):
    """A port whose next one is free, too: planes have their health on it."""
    for _ in range(tries):
        port = free_ports(1)[0]
        with socket.socket() as following:
            try:
                following.bind(("127.0.0.1", port + 1))
                return port
            except (OSError, OverflowError):
                continue
    raise RuntimeError("no two neighbouring ports are free")


class Process:
    """One that lasts until `stop`; what it says goes to `<folder>/<name>.out`."""

    def __init__(self, name, folder, command, environment):
        self.name, self.output = name, folder / f"{name}.out"
        with open(self.output, "wb") as said:
            self._child = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", "--", *map(str, command)],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    def said(self):
        return self.output.read_text(errors="replace")

    def until(self, what, condition, seconds=120):
        """Waits until `condition` holds. Raises RuntimeError with what was said when it ends or takes too long."""
        begun = time.monotonic()
        while time.monotonic() - begun < seconds:
            if condition():
                return
            if self._child.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError(f"{self.name} was not {what}:\n{self.said()[-2000:]}")

    def stop(self, patience=30):
        """SIGTERM, and after `patience` seconds SIGKILL."""
        self._child.send_signal(signal.SIGTERM)
        try:
            self._child.wait(patience)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()


def get(url):
    """The body that `url` answers with, whatever its status; None when nothing answers."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5) as answer:
            return answer.read()
    except urllib.error.HTTPError as error:
        return error.read()
    except OSError:
        return None
