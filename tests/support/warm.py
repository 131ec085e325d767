"""Processes that start warm: forked from one that has imported torch and its like already.

:func:`python` returns an executable to start in place of ``sys.executable``. A process that trains
a tiny model for two steps spends six of its seven seconds on imports of other libraries; started
this way it spends none. What it runs of mlmref it imports itself.

The executable (:data:`STUB`) passes its arguments, environment, folder and open files on to a
server, which forks. It ends as the forked process ends, passes signals on, and takes it along when
it is killed. What is settled before the fork cannot be asked for: other options of the interpreter,
or other values of the variables of :func:`_settled`. Then the stub starts Python itself.
"""

import atexit
import gc
import json
import os
import runpy
import selectors
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

PRELOADED = [
    "accelerate",
    "datasets",
    "pluggy",
    "pydantic.fields",
    "pydantic.main",
    "pydantic_core",
    "rich.live",
    "rich.progress",
    "rich.table",
    "scipy.stats",
    "torch",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
    "transformers.models.bert.modeling_bert",
    "transformers.tokenization_utils_tokenizers",
    "transformers.trainer",
]
"""Libraries that are imported before the fork; mlmref is not."""
OPTIONS = {"-u"}
"""Options of the interpreter that a process may have."""
FILES = 3
"""Standard input, output and error."""

# Libraries read these when they are imported, and the interpreter when it starts.
_READ = ("HF_", "HUGGINGFACE_", "TRANSFORMERS_", "PYTHON", "OMP_", "MKL_", "CUDA_", "LC_", "LANG")
_READ_LATE = ("HF_TOKEN", "PYTHONFAULTHANDLER", "PYTHON_EXEC")

STUB = """#!{python} -IS
import json, os, signal, socket, struct, sys, time

environment = dict(os.environ)
settled = {settled!r}
mine = {{k: v for k, v in environment.items() if k.startswith({read!r}) and k not in {late!r}}}
at = 1
while len(sys.argv) > at and sys.argv[at] in {options!r}:
    at += 1
known = len(sys.argv) > at and (sys.argv[at] in ("-m", "-c") or not sys.argv[at].startswith("-"))
if not known or any(settled.get(k) != v for k, v in mine.items()):
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
asked = {{"argv": sys.argv[1:], "env": environment, "cwd": os.getcwd()}}
message = json.dumps(asked).encode()
socket.send_fds(server, [struct.pack("I", len(message))], [0, 1, 2])
server.sendall(message)
pid = struct.unpack("i", server.recv(4, socket.MSG_WAITALL))[0]

def forward(number, frame):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass

for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGABRT, signal.SIGUSR1):
    signal.signal(number, forward)
status = struct.unpack("i", server.recv(4, socket.MSG_WAITALL))[0]
if status < 0:
    signal.signal(-status, signal.SIG_DFL) if -status != signal.SIGKILL else None
    os.kill(os.getpid(), -status)
    time.sleep(10)
os._exit(status)
"""


def pid():
    """Return the process id of the server, or ``None`` if there is none yet."""
    return _server[0].pid if _server else None


_server = []


@cache
def python():
    """Return the path of the executable; starts the server, which ends with this process."""
    address, stub = (str(_folder() / name) for name in ("socket", "python"))
    environment = os.environ | hub_settings()
    values = {k: v for k, v in environment.items() if _is_settled(k)}
    text = STUB.format(
        python=sys.executable,
        address=address,
        settled=values,
        read=_READ,
        late=_READ_LATE,
        options=OPTIONS,
    )
    Path(stub).write_text(text, "utf-8")
    Path(stub).chmod(0o755)
    server = subprocess.Popen(
        [sys.executable, __file__, address],
        stdin=subprocess.PIPE,  # whose end, at the latest with this process, ends the server
        stdout=subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )
    _server.append(server)
    atexit.register(server.wait)
    atexit.register(server.stdin.close)
    assert server.stdout.readline() == b"ready\n"
    return stub


@cache
def _folder():
    folder = tempfile.TemporaryDirectory(prefix="mlmref-warm-")
    atexit.register(folder.cleanup)
    return Path(folder.name)


@cache
def hub_settings():
    """Return the variables by which the forked processes find the stand-in for the hub."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return {
        "HF_ENDPOINT": f"http://127.0.0.1:{port}",
        "HF_HOME": str(_folder() / "hub"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }


def _is_settled(variable):
    return variable.startswith(_READ) and variable not in _READ_LATE


def serve(address):
    """Fork a process for each stub; returns what one asked for, in its process."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(64)
    woken, wake = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    selector = selectors.DefaultSelector()
    for opened, kind in ((listener, "new"), (woken, "ended"), (0, "over")):
        selector.register(opened, selectors.EVENT_READ, kind)
    running = {}
    os.write(1, b"ready\n")
    while True:
        for key, _ in selector.select():
            if key.data == "over":
                for pid in running:
                    os.kill(pid, signal.SIGKILL)
                os._exit(0)
            elif key.data == "new":
                asked, files, connection = _request(listener.accept()[0])
                pid = os.fork()
                if pid == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    os.setsid()
                    for one in (*running.values(), connection, listener):
                        one.close()
                    selector.close()
                    os.close(woken)
                    os.close(wake)
                    return asked, files
                for file in files:
                    os.close(file)
                running[pid] = connection
                connection.sendall(struct.pack("i", pid))
                selector.register(connection, selectors.EVENT_READ, "stub")
            elif key.data == "ended":
                with suppress(BlockingIOError):
                    os.read(woken, 1 << 16)
                _reap(running, selector)
            else:  # the stub was killed
                for pid, connection in running.items():
                    if connection is key.fileobj:
                        os.kill(pid, signal.SIGKILL)
                selector.unregister(key.fileobj)


def _request(connection):
    """Receive what a stub asks for, and its open files."""
    head, files, _, _ = socket.recv_fds(connection, 4, FILES)
    (size,) = struct.unpack("I", head)
    message = b""
    while len(message) < size:
        message += connection.recv(size - len(message))
    return json.loads(message), files, connection


def _reap(running, selector):
    """Tell stubs how their processes ended."""
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        connection, ended = running.pop(pid), os.waitstatus_to_exitcode(status)
        if ended == -signal.SIGABRT:  # a time limit was reached, and nothing is to be left
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        with suppress(OSError):
            connection.sendall(struct.pack("i", ended))
        with suppress(KeyError):  # it was unregistered when the stub was killed
            selector.unregister(connection)
        connection.close()


def become(asked, files):
    """Take on a stub's files, folder, environment and arguments; returns what to run."""
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(asked["env"])
    os.chdir(asked["cwd"])
    if "PYTHONFAULTHANDLER" in asked["env"]:
        import faulthandler

        faulthandler.enable()
    argv = asked["argv"]
    unbuffered = "-u" in argv[: argv.index(next(one for one in argv if one != "-u"))]
    while argv[0] in OPTIONS:
        argv = argv[1:]
    for name, number in (("stdout", 1), ("stderr", 2)):
        stream = open(number, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - stays
        stream.reconfigure(
            line_buffering=number == 2 or stream.isatty(),
            write_through=unbuffered,
            errors="backslashreplace" if number == 2 else "strict",
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    return argv


def run(argv):
    """Run a module, code or a script, as the interpreter does."""
    kind, *rest = argv
    if kind == "-m":
        sys.argv = rest
        sys.path.insert(0, str(Path.cwd()))
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif kind == "-c":
        sys.argv = ["-c", *rest[1:]]
        sys.path.insert(0, "")
        exec(compile(rest[0], "<string>", "exec"), sys.modules["__main__"].__dict__)  # noqa: S102 - as asked
    else:
        sys.argv = argv
        sys.path.insert(0, str(Path(kind).parent))
        runpy.run_path(kind, run_name="__main__")


if __name__ == "__main__":
    from importlib import import_module

    del sys.path[0]  # this folder, where a module has the name of a library
    for _name in PRELOADED:
        import_module(_name)
    gc.collect()
    gc.freeze()
    run(become(*serve(sys.argv[1])))
