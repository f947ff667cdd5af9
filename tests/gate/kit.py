# SPDX-License-Identifier: MIT
"""What the tests of weir-gate share: a supervisor that does as it is told, a gate with pipes of the test's own, the checks.

A test is a function whose name begins with test_; run(globals()) runs those, prints "ok - NAME" or what went wrong, and
the closing line that tools/count-tests reads. Only processes that a test started are ever signalled.
"""
import array
import fcntl
import json
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

GATE = os.environ["WEIR_GATE"]
LAYOUT = os.environ["GATE_LAYOUT"]
HERE = os.path.dirname(os.path.abspath(__file__))
SANITIZED = os.environ.get("GATE_SANITIZED", "") not in ("", "0")
# under sanitizers on a busy machine everything takes longer; nothing is ever waited for that long when it works
PATIENCE = 60.0

_fields, C = {}, {}
for _line in subprocess.run([LAYOUT], check=True, capture_output=True, text=True).stdout.splitlines():
    _name, _a, _b = _line.split()
    if _b == "0":
        C[_name] = int(_a)
    else:
        _fields[_name] = (int(_a), int(_b))
SAYS_NAMES = {v: k[5:] for k, v in C.items() if k.startswith("SAYS_")}
NOTE_NAMES = {v: k[5:] for k, v in C.items() if k.startswith("NOTE_")}


def get(data, name, base=0, signed=False):
    at, size = _fields[name]
    return int.from_bytes(data[base + at:base + at + size], sys.byteorder, signed=signed)


def get_text(data, name, base=0):
    at, size = _fields[name]
    return data[base + at:base + at + size].split(b"\0")[0].decode("utf-8", "replace")


def put(data, name, value, base=0):
    at, size = _fields[name]
    if isinstance(value, (bytes, str)):
        value = value.encode() if isinstance(value, str) else value
        assert len(value) < size, name
        data[base + at:base + at + len(value)] = value
    else:
        data[base + at:base + at + size] = int(value).to_bytes(size, sys.byteorder)


class Said:
    """One message of the gate's."""

    def __init__(self, data):
        self.data = data
        self.kind = SAYS_NAMES.get(get(data, "says.kind"), "?")
        self.version = get(data, "says.version")
        self.generation = get(data, "says.generation")
        self.pid = get(data, "says.pid", signed=True)
        self.status = get(data, "says.status", signed=True)
        self.ready = get(data, "says.ready")
        self.beside = get(data, "says.beside")
        self.order_id = get(data, "says.order_id")
        self.note = NOTE_NAMES.get(get(data, "says.note"), "?") if self.kind == "NOTE" else None
        self.amount = get(data, "says.amount")
        self.bytes = get(data, "says.bytes")
        self.unit = get_text(data, "says.unit")
        self.method = get_text(data, "says.method")
        self.id = get_text(data, "says.id")
        self.state = self._state() if self.kind in ("STATE", "HELLO") else None
        self.figures = self._figures() if self.kind == "METHOD" else None

    def _state(self):
        base = _fields["says.state"][0]
        state = {n: get(self.data, "state." + n, base)
                 for n in ("inflight", "waiting", "queued", "order", "order_id", "queued_us", "calls", "answers",
                           "errors", "latency_p99_us", "resident_bytes")}
        at = base + _fields["state.notes"][0]
        notes = struct.unpack_from("%dQ" % C["GATE_NOTE_COUNT"], self.data, at)
        state["notes"] = {NOTE_NAMES[i]: n for i, n in enumerate(notes)}
        return state

    def _figures(self):
        base = _fields["says.method_figures"][0]
        figures = {n: get(self.data, "method." + n, base)
                   for n in ("calls", "answers", "errors", "notifications", "replays", "bytes_to_worker",
                             "bytes_to_server", "latency_sum_us", "latency_max_us", "growth_calls")}
        figures["growth_bytes"] = get(self.data, "method.growth_bytes", base, signed=True)
        figures["name"] = get_text(self.data, "method.name", base)
        at = base + _fields["method.latency"][0]
        figures["latency"] = struct.unpack_from("%dQ" % C["GATE_LATENCY_BUCKETS"], self.data, at)
        return figures

    def __repr__(self):
        return "<%s gen=%d pid=%d note=%s>" % (self.kind, self.generation, self.pid, self.note)


class Supervisor:
    """Listens on RUN_DIR/gate.sock in a thread of its own. What it does on ASK is a list of answers, the last one for good:
    "go", "refuse", "silent", "nonsense", or a callable(supervisor, connection, said)."""

    def __init__(self, run_dir, asks=("go",), causes=True, memory=None, environment="WEIR_TEST=1", start=True, **settings):
        self.path = os.path.join(run_dir, "gate.sock")
        self.asks, self.causes, self.memory, self.environment = list(asks), causes, memory, environment
        self.settings = dict(format=C["GATE_FORMAT_JSONL"], replay_max=1, respawn_clean=0, patience_us=60_000_000,
                             memory_bytes=1 << 20, spool_dir="", handshake=(), replay=())
        self.settings.update(settings)
        self.said, self.changed = [], threading.Condition()
        self.generation, self.order_id = 0, 0
        self.connection = self.listener = None
        self.killed = set()  # pids that were killed, for the cause
        self.version = C["GATE_LINK_VERSION"]
        if start:
            self.start()

    def start(self):
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(self.path)
        self.listener.listen(8)
        self.stopping = False
        self.thread = threading.Thread(target=self._serve, args=(self.listener,), daemon=True)
        self.thread.start()

    def stop(self):
        self.stopping = True
        listener, self.listener = self.listener, None
        if not listener:
            return
        # a thread in accept() is not woken by close()
        listener.shutdown(socket.SHUT_RDWR)
        connection = self.connection
        if connection:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.thread.join(PATIENCE)
        listener.close()
        os.unlink(self.path)

    def _serve(self, listener):
        while not self.stopping:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.connection = connection
            try:
                self.welcome(connection)
                while True:
                    data = connection.recv(65536)
                    if not data:
                        break
                    said = Said(data)
                    with self.changed:
                        self.said.append(said)
                        self.changed.notify_all()
                    self._react(connection, said)
            except OSError:
                pass
            self.connection = None
            connection.close()
            with self.changed:
                self.changed.notify_all()

    def _react(self, connection, said):
        if said.kind == "ASK":
            what = self.asks.pop(0) if len(self.asks) > 1 else self.asks[0]
            if callable(what):
                what(self, connection, said)
            elif what == "go":
                self.go(connection)
            elif what == "refuse":
                self.tell(connection, "REFUSE", text="given up after 5 restarts")
            elif what == "nonsense":
                connection.send(b"nonsense")
        elif said.kind == "ENDED" and self.causes:
            died = os.WTERMSIG(said.status) if os.WIFSIGNALED(said.status) else None
            text = "killed by signal %d" % died if died else "exited with status %d" % os.WEXITSTATUS(said.status)
            self.tell(connection, "CAUSE", generation=said.generation, text=text + "; says the supervisor")

    def message(self, kind, **fields):
        data = bytearray(C["told"])
        put(data, "told.version", self.version)
        put(data, "told.kind", C["GATE_TOLD_" + kind])
        for name, value in fields.items():
            put(data, "told." + name, value)
        return data

    def tell(self, connection, kind, fd=-1, **fields):
        data = self.message(kind, **fields)
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))] if fd >= 0 else []
        connection.sendmsg([data], ancillary)

    def welcome(self, connection=None):
        data = self.message("WELCOME")
        base = _fields["told.settings"][0]
        for name, value in self.settings.items():
            if name in ("handshake", "replay"):
                put(data, "settings.%s_count" % name, len(value), base)
                at = base + _fields["settings." + name][0]
                for i, method in enumerate(value):
                    data[at + i * C["GATE_NAME_MAX"]:at + i * C["GATE_NAME_MAX"] + len(method)] = method.encode()
            else:
                put(data, "settings." + name, value, base)
        (connection or self.connection).send(data)

    def go(self, connection=None, beside=0):
        self.generation += 1
        fd = os.open(self.memory, os.O_RDONLY) if self.memory else -1
        self.tell(connection or self.connection, "GO", fd=fd, generation=self.generation, beside=beside,
                  text=self.environment)
        if fd >= 0:
            os.close(fd)

    def order(self, order, **fields):
        self.order_id += 1
        self.tell(self.connection, "ORDER", order=C["GATE_ORDER_" + order], order_id=self.order_id, **fields)
        return self.order_id

    def wait(self, kind, since=0, patience=PATIENCE, **wanted):
        """The first message of a kind with these fields, from the since-th on."""
        def found():
            for s in self.said[since:]:
                if s.kind == kind and all(getattr(s, k) == v for k, v in wanted.items()):
                    return s
            return None
        with self.changed:
            if not self.changed.wait_for(found, patience):
                raise AssertionError("the gate never said %s %r; it said %r" % (kind, wanted, self.said[since:][-20:]))
            return found()

    def wait_state(self, predicate, patience=PATIENCE):
        def found():
            for s in reversed(self.said):
                if s.state:
                    return s.state if predicate(s.state) else None
            return None
        with self.changed:
            if not self.changed.wait_for(found, patience):
                last = [s.state for s in self.said if s.state][-1:]
                raise AssertionError("the gate was never in that state; last %r" % last)
            return found()

    def count(self, kind, **wanted):
        with self.changed:
            return sum(1 for s in self.said if s.kind == kind and all(getattr(s, k) == v for k, v in wanted.items()))

    def figures(self):
        """The last ones of each method."""
        with self.changed:
            return {s.figures["name"]: s.figures for s in self.said if s.figures}


class Gate:
    """weir-gate with a worker, and the test in the server's place."""

    def __init__(self, run_dir, worker, sockets=False, stdin=None, stdout=None, stderr=None, environment=None,
                 path="", pass_fds=(), before=None):
        self.run_dir = run_dir
        env = dict(os.environ)
        env.pop("MALLOC_PERTURB_", None)  # of meson's: it touches memory that the gate never does
        env.update(environment or {})
        mine_in = mine_out = None
        if stdin is None:
            stdin, mine_in = self._pair(sockets)
        if stdout is None:
            mine_out, stdout = reversed(self._pair(sockets)) if sockets else os.pipe()
        self.stderr_path = os.path.join(run_dir, "stderr.%d" % time.monotonic_ns())
        with open(self.stderr_path, "wb") as log:
            self.process = subprocess.Popen([GATE, "--unit", "worker", "--run-dir", run_dir, "--path", path or run_dir + "/wrap", "--",
                                             *worker], stdin=stdin, stdout=stdout, stderr=stderr or log, env=env,
                                            close_fds=True, pass_fds=pass_fds, preexec_fn=before)
        for fd in (stdin, stdout):
            if mine_in is not None and fd == stdin or mine_out is not None and fd == stdout:
                os.close(fd)
        self.stdin, self.stdout = mine_in, mine_out
        self.pid = self.process.pid
        self.buffer = b""

    @staticmethod
    def _pair(sockets):
        if sockets:
            a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            return a.detach(), b.detach()
        return os.pipe()

    def send(self, *messages):
        self.write(b"".join(m if isinstance(m, bytes) else json.dumps(m).encode() + b"\n" for m in messages))

    def request(self, id, method="echo", **params):
        self.send({"jsonrpc": "2.0", "id": id, "method": method, "params": params})

    def write(self, data):
        view = memoryview(data)
        while view:
            view = view[os.write(self.stdin, view):]

    def line(self, patience=PATIENCE):
        """The next line, or None at the end of the stream."""
        end = time.monotonic() + patience
        while b"\n" not in self.buffer:
            if not select.select([self.stdout], [], [], max(0, end - time.monotonic()))[0]:
                raise AssertionError("no line within %g s; so far %r; stderr %r" % (patience, self.buffer[:200], self.stderr()))
            data = os.read(self.stdout, 1 << 16)
            if not data:
                assert not self.buffer, "half a line at the end: %r" % self.buffer[:200]
                return None
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line

    def answer(self, patience=PATIENCE):
        line = self.line(patience)
        return None if line is None else json.loads(line)

    def hang(self, id, method="hang"):
        """A request that the worker has read, and does not answer."""
        self.request(id, method)
        equal(self.line(), b'{"jsonrpc":"2.0","method":"hung"}')

    def quiet(self, seconds=0.3):
        """Whether nothing comes for that long."""
        return not self.buffer and not select.select([self.stdout], [], [], seconds)[0]

    def close_stdin(self):
        os.close(self.stdin)
        self.stdin = None

    def wait(self, patience=PATIENCE):
        return self.process.wait(patience)

    def stderr(self):
        with open(self.stderr_path, "rb") as f:
            return f.read().decode("utf-8", "replace")

    def status(self, key, pid=None):
        with open("/proc/%d/status" % (pid or self.pid)) as f:
            for line in f:
                if line.startswith(key + ":"):
                    return int(line.split()[1])
        return None

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for fd in (self.stdin, self.stdout):
            if fd is not None:
                os.close(fd)
        self.stdin = self.stdout = None


class World:
    """A folder, a supervisor and a gate, gone at the end of a with block."""

    def __init__(self, worker=None, supervisor=None, mode=0o700, **gate):
        self.dir = tempfile.mkdtemp(prefix="weir-gate.")
        os.chmod(self.dir, mode)
        settings = dict(supervisor or {})
        self.supervisor = Supervisor(self.dir, **settings)
        try:
            self.gate = Gate(self.dir, worker or echo(), **gate)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self.supervisor, self.gate

    def close(self):
        if getattr(self, "gate", None):
            self.gate.close()
        self.supervisor.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __exit__(self, *error):
        if error[0]:
            print("# stderr of the gate and its workers: %s" % self.gate.stderr()[-2000:])
            print("# exit status: %r" % self.gate.process.poll())
            print("# said: %r" % self.supervisor.said[-12:])
        self.close()


def worker(*words):
    return [sys.executable, "-S", os.path.join(HERE, "worker.py"), *words]


def echo(*words):
    return worker("echo", *words)


def pids_of(gate_pid):
    """Its children."""
    with open("/proc/%d/task/%d/children" % (gate_pid, gate_pid)) as f:
        return [int(p) for p in f.read().split()]


def until(predicate, patience=PATIENCE):
    end = time.monotonic() + patience
    while not predicate():
        assert time.monotonic() < end, "that never came true"
        time.sleep(0.01)


def stop(pid):
    """A signal is on its way when kill returns: until it has arrived the process may still read."""
    os.kill(pid, signal.SIGSTOP)
    until(lambda: state_of(pid) == "T")


def kill(pid):
    os.kill(pid, signal.SIGKILL)
    until(lambda: state_of(pid) in ("", "Z"))


def state_of(pid):
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0]
    except OSError:
        return ""


def equal(got, wanted):
    assert got == wanted, "got %.500r, wanted %.500r" % (got, wanted)


def weir_of(answer):
    """What an error answer says of its cause."""
    equal(answer["error"]["code"], -32001)
    return answer["error"]["data"]["weir"]


def run(names):
    passed = failed = skipped = 0
    only = sys.argv[1:]
    for name, test in list(names.items()):
        if not name.startswith("test_") or (only and name not in only):
            continue
        begin = time.monotonic()
        try:
            reason = test()
        except BaseException:  # a test that is interrupted has failed as well
            failed += 1
            traceback.print_exc(file=sys.stdout)
            print("not ok - %s" % name[5:])
            continue
        if reason:
            skipped += 1
            print("ok - %s # SKIP %s" % (name[5:], reason))
        else:
            passed += 1
            print("ok - %s (%.2f s)" % (name[5:], time.monotonic() - begin))
        sys.stdout.flush()
    print("%d passed, %d failed, %d skipped" % (passed, failed, skipped))
    sys.exit(1 if failed else 0)
