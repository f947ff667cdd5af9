# SPDX-License-Identifier: MIT
"""What a supervisor orders, and what becomes of the pipe when it goes, comes back, or talks nonsense."""
import random

from kit import *


def ready(supervisor, gate, id=0):
    gate.request(id)
    equal(gate.answer()["id"], id)


def held(supervisor):
    supervisor.wait_state(lambda s: s["order"] == C["GATE_ORDER_HOLD"])


def test_hold_and_release():
    with World() as (supervisor, gate):
        ready(supervisor, gate)
        order = supervisor.order("HOLD")
        state = supervisor.wait_state(lambda s: s["order_id"] == order)
        equal((state["order"], state["queued"]), (C["GATE_ORDER_HOLD"], 0))
        gate.request(1)
        assert gate.quiet()
        state = supervisor.wait_state(lambda s: s["queued"] == 1 and s["queued_us"] > 100_000)
        equal(state["inflight"], 0)
        supervisor.order("RELEASE")
        equal(gate.answer()["id"], 1)
        supervisor.wait_state(lambda s: s["order"] == C["GATE_ORDER_RELEASE"] and s["queued"] == 0)


def test_hold_keeps_the_servers_pipe_full():
    """Real backpressure: nothing is read, so the server's own writes wait."""
    with World() as (supervisor, gate):
        ready(supervisor, gate)
        supervisor.order("HOLD")
        held(supervisor)
        os.set_blocking(gate.stdin, False)
        written, line = 0, json.dumps({"jsonrpc": "2.0", "method": "note", "params": "x" * 900}).encode() + b"\n"
        end = time.monotonic() + 1
        while time.monotonic() < end:
            try:
                written += os.write(gate.stdin, line)
            except BlockingIOError:
                time.sleep(0.01)
        assert written < 500_000, written
        os.set_blocking(gate.stdin, True)
        supervisor.order("RELEASE")
        gate.write(b"\n")
        gate.request(1)
        equal(gate.answer()["id"], 1)


def test_hold_acts_at_the_next_line():
    """Lines that were let through and have no room in the worker's pipe yet stay with the gate."""
    log = tempfile.mktemp(prefix="weir-gate-log.")
    with World(echo(log)) as (supervisor, gate):
        gate.request(0, "pid")
        pid = gate.answer()["result"]
        stop(pid)
        writer = threading.Thread(target=lambda: [gate.request(id, "add", pad="x" * 1000) for id in range(1, 201)] and
                                  [gate.send({"jsonrpc": "2.0", "method": "note", "params": "x" * 1000}) for _ in range(2000)],
                                  daemon=True)
        writer.start()
        time.sleep(0.5)
        supervisor.order("HOLD")
        held(supervisor)
        before = supervisor.wait_state(lambda s: s["queued"] == 1)
        os.kill(pid, signal.SIGCONT)
        for _ in range(before["inflight"]):
            gate.answer()
        assert gate.quiet()
        executed = len(open(log).readlines())
        time.sleep(0.3)
        equal(len(open(log).readlines()), executed)
        # what was in the pipe, 1 MiB at most, not what was in the gate's buffer
        assert executed * 1050 < (1 << 20) + 20_000, executed
        supervisor.order("RELEASE")
        for _ in range(200 - before["inflight"]):
            gate.answer()
        writer.join(PATIENCE)
        until(lambda: len(open(log).readlines()) == 2201)
        methods = supervisor.wait_state(lambda s: s["inflight"] == 0) and supervisor.figures
        until(lambda: methods().get("note", {}).get("notifications") == 2000)
        equal(methods()["add"]["calls"], 200)
    os.unlink(log)


def test_hold_ends_by_patience():
    with World(supervisor=dict(patience_us=400_000)) as (supervisor, gate):
        ready(supervisor, gate)
        supervisor.order("HOLD")
        held(supervisor)
        begin = time.monotonic()
        gate.request(1)
        equal(gate.answer()["id"], 1)
        assert time.monotonic() - begin > 0.35
        supervisor.wait("NOTE", note="BOUND")


def test_pace_by_count():
    with World() as (supervisor, gate):
        ready(supervisor, gate)
        supervisor.order("PACE", inflight=2, interval_us=0)
        supervisor.wait_state(lambda s: s["order"] == C["GATE_ORDER_PACE"])
        gate.send(*[{"jsonrpc": "2.0", "id": id, "method": "hang"} for id in range(1, 6)])
        for _ in range(2):
            equal(gate.answer()["method"], "hung")
        assert gate.quiet()
        equal(supervisor.wait_state(lambda s: s["queued"] == 1)["inflight"], 2)
        supervisor.order("RELEASE")
        for _ in range(3):
            equal(gate.answer()["method"], "hung")


def test_pace_by_rate():
    with World() as (supervisor, gate):
        ready(supervisor, gate)
        supervisor.order("PACE", inflight=0, interval_us=100_000)
        supervisor.wait_state(lambda s: s["order"] == C["GATE_ORDER_PACE"])
        begin = time.monotonic()
        gate.send(*[{"jsonrpc": "2.0", "id": id, "method": "echo"} for id in range(6)])
        for id in range(6):
            equal(gate.answer()["id"], id)
        assert time.monotonic() - begin > 0.45


def test_drain_with_nothing_in_flight():
    with World() as (supervisor, gate):
        ready(supervisor, gate)
        order = supervisor.order("DRAIN")
        supervisor.wait("DRAINED", order_id=order)


def test_drain_and_the_next_worker():
    """As weir swaps a worker: drained, ended, the next one gets what waited; the server sees nothing."""
    with World(supervisor=dict(handshake=("init",))) as (supervisor, gate):
        gate.request(0, "init")
        gate.answer()
        for generation in range(1, 6):
            gate.request(1, "pid")
            pid = gate.answer()["result"]
            gate.hang(2)
            order = supervisor.order("DRAIN")
            supervisor.wait_state(lambda s: s["order"] == C["GATE_ORDER_DRAIN"])
            gate.request(3)
            assert gate.quiet(0.1)
            supervisor.tell(supervisor.connection, "ENDING", generation=generation, follows=1)
            os.kill(pid, signal.SIGKILL)
            equal(weir_of(gate.answer())["method"], "hang")
            supervisor.wait("DRAINED", order_id=order)
            equal(gate.answer()["id"], 3)
            supervisor.wait_state(lambda s: s["order"] == C["GATE_ORDER_RELEASE"])
        equal(supervisor.count("READY"), 6)


def test_drain_lets_responses_pass():
    with World(worker("asker")) as (supervisor, gate):
        gate.answer()
        gate.answer()
        supervisor.order("DRAIN")
        supervisor.wait_state(lambda s: s["order"] == C["GATE_ORDER_DRAIN"])
        gate.send({"jsonrpc": "2.0", "id": 1, "result": "this"})
        equal(gate.answer()["params"], "this")


def test_drain_of_any_lines():
    """Nothing is known of what is in flight: drained at a line's end."""
    with World(worker("cat"), supervisor=dict(format=C["GATE_FORMAT_LINES"])) as (supervisor, gate):
        gate.write(b"one\n")
        equal(gate.line(), b"one")
        order = supervisor.order("DRAIN")
        supervisor.wait("DRAINED", order_id=order)
        gate.write(b"two\nthr")
        assert gate.quiet()
        os.kill(pids_of(gate.pid)[0], signal.SIGKILL)
        equal(gate.line(), b"two")
        gate.write(b"ee\n")
        equal(gate.line(), b"three")


def test_the_server_dies_while_it_is_held():
    """The worker hears the end at once, not when the hold's patience is over."""
    log = tempfile.mktemp(prefix="weir-gate-log.")
    with World(echo(log)) as (supervisor, gate):
        ready(supervisor, gate)
        supervisor.order("HOLD")
        held(supervisor)
        gate.request(1)
        supervisor.wait_state(lambda s: s["queued"] == 1)
        os.close(gate.stdin)
        os.close(gate.stdout)
        gate.stdin = gate.stdout = None
        equal(gate.wait(10), 0)
        equal(len(open(log).readlines()), 1)
    os.unlink(log)


def test_the_server_dies_while_a_worker_waits():
    with World(supervisor=dict(asks=("silent",))) as (supervisor, gate):
        supervisor.wait("ASK")
        gate.request(1)
        os.close(gate.stdin)
        os.close(gate.stdout)
        gate.stdin = gate.stdout = None
        equal(gate.wait(10), 69)


# ------------------------------------------ the handshake ------------------------------------------


def test_handshake_is_sent_again_and_its_answer_swallowed():
    log = tempfile.mktemp(prefix="weir-gate-log.")
    with World(echo(log), supervisor=dict(handshake=("ping", "init"))) as (supervisor, gate):
        gate.request("i", "init", model="old")
        gate.request(2, "ping")
        gate.request(3, "init", model="new")
        for _ in range(3):
            gate.answer()
        gate.request(4, "die")
        weir_of(gate.answer())
        gate.request(5)
        equal(gate.answer()["id"], 5)
        assert gate.quiet(0.1)
        lines = [line.split() for line in open(log)]
        second = [line[1:] for line in lines if line[0] == lines[-1][0]]
        equal(second, [["ping", "2"], ["init", "3"], ["echo", "5"]])
        equal(supervisor.count("READY"), 2)
        equal(supervisor.figures().get("init", {}).get("calls", 2), 2)
    os.unlink(log)


def test_a_handshake_that_failed_is_not_recorded():
    log = tempfile.mktemp(prefix="weir-gate-log.")
    with World(echo(log), supervisor=dict(handshake=("fail",))) as (supervisor, gate):
        gate.request(1, "fail")
        assert "error" in gate.answer()
        gate.request(2, "die")
        weir_of(gate.answer())
        gate.request(3)
        equal(gate.answer()["id"], 3)
        equal([line.split()[1] for line in open(log)], ["fail", "die", "echo"])
    os.unlink(log)


def test_a_handshake_that_fails_the_second_time_ends_the_worker():
    mark = tempfile.mktemp(prefix="weir-gate-moody.")
    with World(worker("moody", mark), supervisor=dict(handshake=("init",), patience_us=3_000_000)) as (supervisor, gate):
        gate.request(1, "init")
        equal(gate.answer()["result"], 1)
        gate.request(2, "die")
        weir_of(gate.answer())
        note = supervisor.wait("NOTE", note="HANDSHAKE_FAILED")
        equal((note.method, note.id), ("init", "1"))
        supervisor.wait("ENDED", generation=2)
        gate.request(3)
        weir = weir_of(gate.answer())
        equal(weir["failure"], "impatient")
        assert supervisor.count("NOTE", note="HANDSHAKE_FAILED") > 1
        equal(supervisor.count("READY"), 1)
    os.unlink(mark)


def test_a_long_handshake():
    """Longer than every buffer, both ways."""
    with World(supervisor=dict(handshake=("big2000000",), memory_bytes=100_000)) as (supervisor, gate):
        threading.Thread(target=gate.request, args=(1, "big2000000"), kwargs=dict(pad="x" * 3_000_000), daemon=True).start()
        equal(len(gate.answer()["result"]), 2_000_000)
        for generation in (2, 3):
            gate.request(2, "die")
            weir_of(gate.answer())
            supervisor.wait("READY", generation=generation)
            gate.request(3)
            equal(gate.answer()["id"], 3)


def test_what_a_worker_says_by_itself_passes_during_the_handshake():
    with World(worker("greeter"), supervisor=dict(handshake=("init",))) as (supervisor, gate):
        for generation in (1, 2, 3):
            equal(gate.answer(), {"jsonrpc": "2.0", "method": "hello"})
            if generation == 1:
                gate.request(1, "init")
                equal(gate.answer()["id"], 1)
            gate.request(2, "die")
            weir_of(gate.answer())


def test_a_live_handshake_is_sent_again():
    with World(supervisor=dict(handshake=("hang",))) as (supervisor, gate):
        gate.hang(1)
        os.kill(pids_of(gate.pid)[0], signal.SIGKILL)
        equal(gate.answer()["method"], "hung")
        supervisor.wait("NOTE", note="REPLAYED", id="1")


def test_settings_change():
    """A reload: the new lists count from now on, and copies of what is still in the list stay."""
    log = tempfile.mktemp(prefix="weir-gate-log.")
    with World(echo(log), supervisor=dict(handshake=("a", "b"), replay=())) as (supervisor, gate):
        gate.request(1, "a")
        gate.request(2, "b")
        gate.answer()
        gate.answer()
        supervisor.settings.update(handshake=("c", "b"), replay=("hang",))
        supervisor.welcome()
        supervisor.order("RELEASE")
        supervisor.wait_state(lambda s: s["order_id"] == 1)
        gate.request(3, "c")
        gate.answer()
        gate.hang(4)
        os.kill(pids_of(gate.pid)[0], signal.SIGKILL)
        equal(gate.answer()["method"], "hung")
        lines = [line.split() for line in open(log)]
        equal([line[1] for line in lines if line[0] == lines[-1][0]], ["c", "b", "hang"])
    os.unlink(log)


# ------------------------------------------ no worker ------------------------------------------


def test_refused():
    with World(supervisor=dict(asks=("refuse", "go"))) as (supervisor, gate):
        gate.request(1)
        weir = weir_of(gate.answer())
        equal((weir["failure"], weir["cause"]), ("down", "given up after 5 restarts"))
        gate.send([{"jsonrpc": "2.0", "id": 2, "method": "m"}, {"jsonrpc": "2.0", "method": "n"}])
        equal([a["id"] for a in gate.answer()], [2])
        gate.send({"jsonrpc": "2.0", "method": "note"})
        equal(pids_of(gate.pid), [])
        supervisor.wait("NOTE", note="REJECTED", id="1")
        supervisor.tell(supervisor.connection, "ASK_AGAIN")
        supervisor.wait("READY")
        gate.request(3)
        equal(gate.answer(), {"jsonrpc": "2.0", "id": 3, "result": "echo"})


def test_refused_long_request():
    with World(supervisor=dict(asks=("refuse",))) as (supervisor, gate):
        gate.request(1, "long", pad="x" * 2_000_000)
        equal(weir_of(gate.answer())["method"], "long")
        gate.close_stdin()
        equal(gate.line(), None)
        equal(gate.wait(), 69)


def test_refused_with_requests_in_flight():
    with World(supervisor=dict(asks=("go", "refuse"), replay=("hang",))) as (supervisor, gate):
        gate.hang(1)
        os.kill(pids_of(gate.pid)[0], signal.SIGKILL)
        weir = weir_of(gate.answer())
        equal((weir["failure"], weir["cause"]), ("down", "given up after 5 restarts"))


def test_the_place_takes_its_time():
    """A back-off: what comes meanwhile waits."""
    def later(supervisor, connection, said):
        threading.Timer(0.6, supervisor.go, (connection,)).start()
    with World(supervisor=dict(asks=(later,))) as (supervisor, gate):
        begin = time.monotonic()
        gate.request(1)
        equal(gate.answer()["id"], 1)
        assert time.monotonic() - begin > 0.5


def test_the_child_that_waits_is_killed():
    """Another one is asked for."""
    with World(supervisor=dict(asks=("silent", "go"))) as (supervisor, gate):
        os.kill(supervisor.wait("ASK").pid, signal.SIGKILL)
        gate.request(1)
        equal(gate.answer()["id"], 1)
        equal(supervisor.count("ENDED"), 0)


def test_impatient():
    with World(supervisor=dict(asks=("silent",), patience_us=300_000)) as (supervisor, gate):
        gate.request(1)
        weir = weir_of(gate.answer())
        equal((weir["failure"], weir["method"]), ("impatient", "echo"))
        supervisor.wait("NOTE", note="IMPATIENT", id="1")


# ------------------------------------------ the supervisor itself ------------------------------------------


def test_no_supervisor_at_first():
    with World(supervisor=dict(start=False)) as (supervisor, gate):
        gate.request(1)
        assert gate.quiet(0.7)
        supervisor.start()
        equal(gate.answer()["id"], 1)


def test_gone_and_back_50_times_under_traffic():
    """Nothing is lost, the figures of the gate go on where they were."""
    turns = 10 if SANITIZED else 50
    with World(worker("echo")) as (supervisor, gate):
        ready(supervisor, gate)
        stop, failures, answered = threading.Event(), [], [0]

        def serve():
            id = 0
            while not stop.is_set():
                id += 1
                gate.request(id)
                try:
                    equal(gate.answer()["id"], id)
                except BaseException as e:
                    failures.append(e)
                    return
                answered[0] = id
                time.sleep(0.0005)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        calls = 0
        rng = random.Random(11)
        for _ in range(turns):
            if rng.random() < 0.3:
                supervisor.order("HOLD")
            supervisor.stop()
            since = len(supervisor.said)
            before = answered[0]
            until(lambda: answered[0] > before + 5 or failures)  # every order is undone with it
            supervisor.start()
            hello = supervisor.wait("HELLO", since=since)
            assert hello.state["calls"] >= max(calls, before), (hello.state, calls, before)
            equal((hello.generation, hello.ready, hello.pid, hello.unit), (1, 1, pids_of(gate.pid)[0], "worker"))
            equal(hello.state["order"], C["GATE_ORDER_RELEASE"])
            calls = hello.state["calls"]
            supervisor.wait("METHOD", since=since)
        stop.set()
        thread.join(PATIENCE)
        equal(failures, [])
        until(lambda: supervisor.figures()["echo"]["answers"] == answered[0] + 1)
        figures = supervisor.figures()["echo"]
        equal((figures["calls"], figures["errors"]), (answered[0] + 1, 0))
        equal(sum(figures["latency"]), answered[0] + 1)
        assert 0 < figures["latency_sum_us"] <= figures["latency_max_us"] * figures["answers"]
        equal(supervisor.count("ASK"), 1)


def test_gone_while_a_worker_waits_and_while_one_ends():
    with World(supervisor=dict(asks=("silent", "go"))) as (supervisor, gate):
        supervisor.wait("ASK")
        supervisor.stop()
        gate.request(1, "pid")
        since = len(supervisor.said)
        supervisor.start()
        ask = supervisor.wait("ASK", since=since)
        pid = gate.answer()["result"]
        equal(pid, ask.pid)  # the same child, asked for again
        supervisor.stop()
        since = len(supervisor.said)
        kill(pid)
        gate.request(2)
        assert gate.quiet()
        supervisor.start()
        ended = supervisor.wait("ENDED", since=since)
        equal((ended.pid, ended.generation, ended.status), (pid, 1, 9))
        equal(gate.answer()["id"], 2)


def test_a_new_supervisor_counts_from_one():
    with World(supervisor=dict(replay=("get",))) as (supervisor, gate):
        for generation in (1, 2):
            gate.request(1, "die")
            equal(weir_of(gate.answer())["generation"], generation)
        supervisor.wait("READY", generation=3)
        supervisor.stop()
        supervisor.generation = 0
        supervisor.start()
        for generation in (3, 1, 2):
            gate.hang(2)
            os.kill(pids_of(gate.pid)[0], signal.SIGKILL)
            equal(weir_of(gate.answer())["generation"], generation)


def test_without_a_word_of_the_cause():
    """Its own words, after a while."""
    with World(supervisor=dict(causes=False)) as (supervisor, gate):
        begin = time.monotonic()
        gate.request(1, "die")
        equal(weir_of(gate.answer())["cause"], "killed by signal 9")
        assert 0.8 < time.monotonic() - begin < 20
        supervisor.stop()
        until(lambda: supervisor.connection is None)
        supervisor.start()
        gate.request(2, "exit3")
        equal(weir_of(gate.answer())["cause"], "exited with status 3")


def test_nonsense():
    """A supervisor that does not keep to the protocol is let go of, and the pipe flows on."""
    def short(supervisor, connection, said):
        connection.send(b"x" * 7)

    def empty(supervisor, connection, said):
        connection.send(b"")

    def kind(supervisor, connection, said):
        data = supervisor.message("WELCOME")
        put(data, "told.kind", 99)
        connection.send(data)

    def order(supervisor, connection, said):
        connection.send(supervisor.message("ORDER", order=17))

    def text(supervisor, connection, said):
        data = supervisor.message("REFUSE")
        at, size = 0, len(data)
        from kit import _fields
        at, size = _fields["told.text"]
        data[at:at + size] = b"x" * size
        connection.send(data)

    def lists(supervisor, connection, said):
        from kit import _fields
        data = supervisor.message("WELCOME")
        put(data, "settings.format", 1, _fields["told.settings"][0])
        put(data, "settings.replay_count", 1_000_000, _fields["told.settings"][0])
        connection.send(data)

    def generation(supervisor, connection, said):
        connection.send(supervisor.message("GO"))

    def long(supervisor, connection, said):
        connection.send(b"\1\0\0\0" * 20_000)

    bad = (short, empty, kind, order, text, lists, generation, long)
    with World(supervisor=dict(asks=(*bad, "go"))) as (supervisor, gate):
        gate.request(1)
        equal(gate.answer()["id"], 1)
        equal(supervisor.count("HELLO"), len(bad) + 1)
        # with a worker, too
        supervisor.connection.send(b"nonsense")
        for id in range(2, 50):
            gate.request(id)
            equal(gate.answer()["id"], id)
        supervisor.wait("HELLO", generation=1, ready=1)


def test_another_version():
    with World(supervisor=dict(start=False)) as (supervisor, gate):
        supervisor.version += 1
        supervisor.start()
        supervisor.wait("HELLO")
        until(lambda: supervisor.count("HELLO") > 2)
        equal(gate.stderr().count("another version"), 1)
        supervisor.version -= 1
        gate.request(1)
        equal(gate.answer()["id"], 1)


def test_unasked_messages_are_harmless():
    with World(supervisor=dict(memory="/proc/self/statm")) as (supervisor, gate):
        ready(supervisor, gate)
        before = len(os.listdir("/proc/%d/fd" % gate.pid))
        for _ in range(20):
            supervisor.tell(supervisor.connection, "GO", generation=77, fd=0)
            supervisor.tell(supervisor.connection, "CAUSE", generation=1, text="nothing")
            supervisor.tell(supervisor.connection, "REFUSE", text="no")
            supervisor.tell(supervisor.connection, "ASK_AGAIN")
            supervisor.tell(supervisor.connection, "ENDING", generation=76)
        ready(supervisor, gate, 1)
        equal(len(os.listdir("/proc/%d/fd" % gate.pid)), before)
        # descriptors come with any message: two for one, and with what is no GO
        data = supervisor.message("CAUSE", generation=1)
        for _ in range(20):
            supervisor.connection.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))])
        ready(supervisor, gate, 2)
        equal(len(os.listdir("/proc/%d/fd" % gate.pid)), before)


def test_growth_of_a_call():
    """memory.current before and after a call that was alone."""
    with tempfile.NamedTemporaryFile("w") as memory:
        memory.write("1000000\n")
        memory.flush()
        with World(worker("grower", memory.name), supervisor=dict(memory=memory.name)) as (supervisor, gate):
            for id in range(4):
                gate.request(id, "grow")
                gate.answer()
            gate.send(*[{"jsonrpc": "2.0", "id": id, "method": "grow"} for id in range(4, 8)])
            for _ in range(4):
                gate.answer()
            until(lambda: supervisor.figures().get("grow", {}).get("answers") == 8)
            grow = supervisor.figures()["grow"]
            assert 4 <= grow["growth_calls"] <= 5, grow  # the last of the four may have been alone
            equal(grow["growth_bytes"], grow["growth_calls"] * 5000)


def test_figures_of_many_methods():
    with World() as (supervisor, gate):
        for id in range(70):
            gate.request(id, "method%d" % id)
            gate.answer()
        gate.send(*[{"jsonrpc": "2.0", "method": "note", "params": 1} for _ in range(10)])
        gate.request(100, "fail")
        gate.answer()
        until(lambda: supervisor.figures().get("(other)", {}).get("calls") == 7)
        figures = supervisor.figures()
        equal(len(figures), 65)
        equal((figures["(other)"]["notifications"], figures["(other)"]["errors"]), (10, 1))
        equal(figures["method3"]["calls"], 1)
        equal(figures["method3"]["bytes_to_worker"], len('{"jsonrpc": "2.0", "id": 3, "method": "method3", "params": {}}\n'))
        equal(figures["method3"]["bytes_to_server"], len('{"jsonrpc":"2.0","id":3,"result":"method3"}\n'))
        state = supervisor.wait_state(lambda s: s["answers"] == 71)
        equal((state["calls"], state["errors"], state["inflight"]), (71, 1, 0))
        assert state["latency_p99_us"] < 10_000_000
        assert state["resident_bytes"] > 100_000


def test_its_state_is_told_each_second():
    with World() as (supervisor, gate):
        ready(supervisor, gate)
        time.sleep(1.5)
        since = len(supervisor.said)
        time.sleep(3.2)
        told = [s.kind for s in supervisor.said[since:]]
        equal(told, ["STATE"] * len(told))
        assert 3 <= len(told) <= 4, told
        # and together with it what there may be thousands of
        gate.write(b"no JSON\n" * 1000)
        equal(supervisor.wait("NOTE", note="NOT_JSON").amount, 1000)


def test_usage():
    for words in ([], ["--unit", "w"], ["--unit", "w", "--run-dir", "/tmp"], ["--nonsense"],
                  ["--unit", "w" * 64, "--run-dir", "/tmp", "--path", "/x", "--", "true"]):
        done = subprocess.run([GATE, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        equal(done.returncode, 64)
        assert "usage: weir-gate" in done.stderr
    done = subprocess.run([GATE, "--unit", "w", "--run-dir", "/" + "x" * 200, "--path", "/x", "--", "true"],
                          capture_output=True, text=True, stdin=subprocess.DEVNULL)
    equal(done.returncode, 69)
    assert "File name too long" in done.stderr


if __name__ == "__main__":
    run(globals())
