# SPDX-License-Identifier: MIT
"""What goes through weir-gate comes out the same, both ways, whatever it is made of, and in bounded memory."""
import random

from kit import *


def pump(gate, data, rng, largest=200_000):
    """Writes data in chunks of random sizes while reading all that comes until the end. Returns that."""
    def write():
        view = memoryview(data)
        while view:
            n = min(len(view), rng.choice((1, 7, 100, 4096, 65536, largest)))
            os.write(gate.stdin, view[:n])
            view = view[n:]
        gate.close_stdin()
    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    parts = []
    while True:
        part = os.read(gate.stdout, 1 << 16)
        if not part:
            break
        parts.append(part)
    writer.join(PATIENCE)
    return b"".join(parts)


def same(data, seed, largest=200_000, **world):
    with World(worker("cat"), **world) as (supervisor, gate):
        supervisor.wait("READY")  # responses before there is anybody who could have asked are dropped
        got = pump(gate, data, random.Random(seed), largest)
        if got != data:
            at = next((i for i, (a, b) in enumerate(zip(got, data)) if a != b), min(len(got), len(data)))
            raise AssertionError("%d bytes in, %d out, first difference at %d: %r / %r"
                                 % (len(data), len(got), at, data[at:at + 60], got[at:at + 60]))
        equal(gate.wait(), 0)


def bytes_of(rng, size):
    return rng.randbytes(size)


def junk(rng, size):
    """Bytes and lines of all lengths, some of them nearly JSON."""
    parts, length = [], 0
    while length < size:
        kind = rng.randrange(8)
        n = rng.choice((0, 1, 10, 100, 1000, 70_000, 300_000, 600_000))
        if kind == 0:
            part = rng.randbytes(n)
        elif kind == 1:
            part = b"\0" * n
        elif kind == 2:
            part = b"\n" * (n % 50)
        elif kind == 3:
            part = b'{"id":' + rng.randbytes(rng.randrange(20)) + b',"result":"' + b"x" * n + b'"}'
        elif kind == 4:
            part = b"[" * (n % 5000)
        elif kind == 5:
            part = b'{"jsonrpc":"2.0","method":"n","params":"' + b"y" * n + b'"}'
        elif kind == 6:
            part = b"text \xff\xfe" + b"z" * n + b"\r"
        else:
            part = rng.randbytes(n).replace(b"\n", b" ")
        parts += (part, b"\n" if rng.random() < 0.9 else b"")
        length += len(part) + 1
    return b"".join(parts)


def messages(rng, count):
    """JSON-RPC that cat's echo makes answerless: notifications, responses, and a few other documents."""
    lines = []
    for i in range(count):
        text = "".join(rng.choices("aé\"\\\n☃ {}[],:", k=rng.choice((0, 3, 40, 3000))))
        kind = rng.randrange(6)
        if kind == 0:
            lines.append(json.dumps({"jsonrpc": "2.0", "method": "note" + text[:5], "params": {"t": text}}))
        elif kind == 1:
            lines.append(json.dumps({"jsonrpc": "2.0", "id": i, "result": {"t": [text]}}, ensure_ascii=False))
        elif kind == 2:
            lines.append(json.dumps([{"jsonrpc": "2.0", "method": "a"}, {"jsonrpc": "2.0", "method": "b", "params": text}]))
        elif kind == 3:
            lines.append(json.dumps([text, i, None, True]))
        else:
            lines.append(rng.choice((json.dumps(text), str(i), "", "  ", "null")))
    return "\n".join(lines).encode("utf-8", "surrogatepass")


SIZE = 4_000_000 if SANITIZED else 24_000_000


def test_random_bytes():
    same(bytes_of(random.Random(1), SIZE), 1)


def test_random_lines_no_final_newline():
    same(junk(random.Random(2), SIZE) + b"no newline", 2)


def test_random_lines_final_newline():
    same(junk(random.Random(3), SIZE // 4) + b"\n", 3)


def test_json_lines():
    same(messages(random.Random(4), 1000 if SANITIZED else 4000), 4)


def test_final_long_line_without_newline():
    same(b"a\n" + b"x" * 3_000_000, 5)


def test_over_sockets():
    """As Node.js makes them."""
    same(junk(random.Random(6), SIZE), 6, sockets=True)


def test_format_lines():
    rng = random.Random(7)
    data = junk(rng, SIZE) + b'{"jsonrpc":"2.0","id":1,"method":"request"}'
    same(data, 7, supervisor=dict(format=C["GATE_FORMAT_LINES"]))


def test_nothing_at_all():
    same(b"", 8)


def test_many_short_lines():
    same(b"\n" * 100_000 + b"a\n" * 200_000, 9)


def test_from_and_to_files():
    """Files are always ready and cannot be watched."""
    with tempfile.TemporaryDirectory() as folder:
        data = junk(random.Random(10), 3_000_000)
        with open(folder + "/in", "wb") as f:
            f.write(data)
        with open(folder + "/in", "rb") as stdin, open(folder + "/out", "wb") as stdout:
            with World(worker("cat"), stdin=stdin.fileno(), stdout=stdout.fileno()) as (_, gate):
                equal(gate.wait(), 0)
        with open(folder + "/out", "rb") as f:
            assert f.read() == data


def test_flags_of_the_servers_pipes_stay():
    """They are the server's descriptions as well: O_NONBLOCK there would break whoever shares them."""
    mine_in, mine_out = os.pipe(), os.pipe()
    with World(stdin=mine_in[0], stdout=mine_out[1]) as (supervisor, gate):
        gate.stdin, gate.stdout = mine_in[1], mine_out[0]
        gate.request(1)
        gate.answer()
        for fd in (*mine_in, *mine_out):
            equal(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK, 0)
    os.close(mine_in[0])
    os.close(mine_out[1])


def test_pipes_that_cannot_be_opened_anew():
    """Another user's: they stay blocking, and are asked before each call."""
    if os.getuid() != 0:
        return "needs root to become another user"
    folder = os.path.dirname(os.path.realpath(GATE))
    while folder != "/":
        if not os.stat(folder).st_mode & 0o001:
            return "another user cannot run %s" % GATE
        folder = os.path.dirname(folder)

    def before():
        os.setgid(65534)
        os.setuid(65534)
    old = os.umask(0)
    try:
        with World(["/bin/cat"], before=before, mode=0o755) as (supervisor, gate):
            supervisor.wait("READY")
            for fd in (0, 1):
                with open("/proc/%d/fdinfo/%d" % (gate.pid, fd)) as f:
                    flags = int(next(line for line in f if line.startswith("flags:")).split()[1], 8)
                equal(flags & os.O_NONBLOCK, 0)
            data = junk(random.Random(12), 3_000_000)
            assert pump(gate, data, random.Random(12)) == data
            equal(gate.wait(), 0)
    finally:
        os.umask(old)


def test_both_pipes_full():
    """A server that writes all it has before it reads anything, a worker that answers as it reads: what does not fit
    waits, and nothing stops for good."""
    with World(worker("cat")) as (_, gate):
        data = b"".join(b'{"n":%d,"pad":"%s"}\n' % (i, b"x" * 900) for i in range(20_000))
        written = []

        def write():
            gate.write(data)
            written.append(True)
            gate.close_stdin()
        thread = threading.Thread(target=write, daemon=True)
        thread.start()
        time.sleep(0.5)
        assert not written, "18 MB went somewhere"
        got = b""
        while len(got) < len(data):
            part = os.read(gate.stdout, 1 << 16)
            assert part
            got += part
        assert got == data
        thread.join(PATIENCE)
        equal(gate.wait(), 0)


def test_answers_are_read_while_requests_cannot_be_written():
    """The worker writes 8 MB before it reads on: it must be able to."""
    with World(worker("flood", "8000000")) as (_, gate):
        def write():
            for i in range(3000):
                gate.send({"jsonrpc": "2.0", "method": "note", "params": "x" * 1000})
            gate.close_stdin()
        thread = threading.Thread(target=write, daemon=True)
        thread.start()
        total = 0
        while True:
            part = os.read(gate.stdout, 1 << 16)
            if not part:
                break
            total += len(part)
        thread.join(PATIENCE)
        equal(total, 8_000_000 + len(b"read 3000\n"))


def test_huge_lines_in_little_memory():
    """64 MB there and 64 MB back, kept for sending again on the way, below 3 MB resident."""
    if SANITIZED:
        return "memory is the sanitizer's"
    size = 64_000_000
    with World(echo(), supervisor=dict(replay=("kept",), memory_bytes=256 << 10)) as (supervisor, gate):
        peak = 0
        for method, id in (("plain", 1), ("kept", 2)):
            line = b'{"jsonrpc":"2.0","id":%d,"method":"%s","params":"' % (id, method.encode())
            gate.write(line)
            block = b"y" * 1_000_000
            for _ in range(size // len(block)):
                gate.write(block)
                peak = max(peak, gate.status("VmRSS"))
            gate.write(b'"}\n')
            equal(gate.answer()["result"], method)
        gate.request(3, "big%d" % size)
        got = 0
        while True:
            part = os.read(gate.stdout, 1 << 16)
            got += len(part)
            peak = max(peak, gate.status("VmRSS"))
            if part.endswith(b"\n"):
                break
        assert got > size
        print("# peak: %d kB resident" % peak)
        assert peak < 3000, "%d kB resident" % peak
        supervisor.wait("NOTE", note="SPOOLED", id="2")
        equal(supervisor.count("NOTE", note="SPOOLED"), 1)
        resident = supervisor.wait_state(lambda s: s["answers"] == 3 and s["resident_bytes"] > 0)["resident_bytes"]
        assert 500_000 < resident < 3_000_000


def test_many_in_flight_in_little_memory():
    """256 requests that are kept, 40 kB each, in 1 MB of memory and a file."""
    with World(echo(), supervisor=dict(replay=("silent",), memory_bytes=1 << 20)) as (supervisor, gate):
        for id in range(256):
            gate.request(id, "silent", pad="x" * 40_000)
        supervisor.wait_state(lambda s: s["inflight"] == 256)
        if not SANITIZED:
            assert gate.status("VmRSS") < 3500, gate.status("VmRSS")
        gate.request(256, "echo")
        supervisor.wait_state(lambda s: s["queued"] == 1)
        assert gate.quiet()


if __name__ == "__main__":
    run(globals())
