# SPDX-License-Identifier: MIT
"""Workers end, in every way, and each request is answered exactly once: by a worker, or by an error that says why."""
import random

from kit import *


def running(gate):
    """Workers that have become what they are to be: not the child that waits for its place."""
    found = []
    for pid in pids_of(gate.pid):
        try:
            if os.readlink("/proc/%d/exe" % pid) != os.path.realpath(GATE):
                found.append(pid)
        except OSError:
            pass
    return found


def read_log(path):
    with open(path, "rb") as f:
        return [line.split() for line in f.read().splitlines()]


class Reader(threading.Thread):
    """Collects answers by id while the test does something else."""

    def __init__(self, gate):
        super().__init__(daemon=True)
        self.gate, self.answers, self.twice, self.other = gate, {}, [], []
        self.changed = threading.Condition()
        self.start()

    def run(self):
        while True:
            line = self.gate.line()
            with self.changed:
                if line is None:
                    self.changed.notify_all()
                    return
                try:
                    answer = json.loads(line)
                    id = answer["id"]
                except (ValueError, KeyError, TypeError):
                    self.other.append(line)
                    continue
                if id in self.answers:
                    self.twice.append((id, self.answers[id], answer))
                self.answers[id] = answer
                self.changed.notify_all()

    def wait(self, predicate):
        with self.changed:
            assert self.changed.wait_for(lambda: predicate(self.answers), PATIENCE), "answers: %d" % len(self.answers)


def kill_at_random(kills, seed, pads, methods, replay):
    rng = random.Random(seed)
    log = tempfile.mktemp(prefix="weir-gate-log.")
    sent = {}
    try:
        with World(echo(log), supervisor=dict(replay=replay, replay_max=1000, memory_bytes=100_000)) as (supervisor, gate):
            reader = Reader(gate)
            stop = threading.Event()

            def serve():
                id = 0
                while not stop.is_set():
                    id += 1
                    method = rng.choice(methods)
                    sent[id] = method
                    gate.request(id, method, pad="x" * rng.choice(pads))
                    reader.wait(lambda answers: len(sent) - len(answers) < 8)
            server = threading.Thread(target=serve, daemon=True)
            server.start()
            killed = 0
            while killed < kills:
                # at any moment, but so that something gets done, however slow the machine is
                enough = len(reader.answers) + rng.choice((0, 1, 2, 5))
                reader.wait(lambda answers: len(answers) >= enough)
                time.sleep(rng.choice((0, 0.001, 0.003, 0.01)))
                for pid in running(gate):
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        continue  # of the last kill
                    killed += 1
            stop.set()
            server.join(PATIENCE)
            assert not server.is_alive()
            reader.wait(lambda answers: len(answers) == len(sent))
            gate.close_stdin()
            reader.join(PATIENCE)
            state = [s.state for s in supervisor.said if s.state][-1]
            executed = {}
            for _, method, id in read_log(log):
                executed[int(id)] = executed.get(int(id), 0) + 1
            check_each_id(sent, reader, executed, replay)
            results = sum("result" in a for a in reader.answers.values())
            print("# %d requests, %d answered by a worker, %d with an error, %d sent again; %d kills"
                  % (len(sent), results, len(sent) - results, state["notes"]["REPLAYED"], killed))
            assert results > kills / 2, "hardly anything worked"
    finally:
        if os.path.exists(log):
            os.unlink(log)


def check_each_id(sent, reader, executed, replay):
    equal(reader.twice, [])
    equal([line[:100] for line in reader.other if not line.startswith(b'{"jsonrpc":"2.0","id":')], [])
    for id, method in sent.items():
        answer = reader.answers[id]
        if "result" in answer:
            if not method.startswith("big"):
                equal(answer["result"], method)
            assert executed.get(id, 0) >= 1, "%d was answered, and no worker saw it" % id
        else:
            weir = weir_of(answer)
            equal(weir["method"], method)
            assert "signal 9" in weir["cause"], weir
            equal(weir["failure"], "ended")
            assert method not in replay, "%d may be sent again, and was answered with an error" % id
        if method not in replay:
            assert executed.get(id, 0) <= 1, "%d is not to be sent again, and was carried out twice" % id
    equal(set(reader.answers), set(sent))


def test_200_kills_small_requests():
    kill_at_random(40 if SANITIZED else 200, 1, (0, 10, 500), ("add", "get", "find"), ("get", "find"))


def test_100_kills_large_requests():
    """The pipe is full of what the worker has not read: none of that may be lost or done twice."""
    kill_at_random(20 if SANITIZED else 100, 2, (10, 30_000, 200_000, 700_000), ("add", "get"), ("get",))


def test_100_kills_large_answers():
    kill_at_random(20 if SANITIZED else 100, 3, (10,), ("big10", "big200000", "big600000", "add", "get"), ("get",))


def test_unread_requests_are_sent_to_the_next_worker():
    """A worker that is stopped, and killed: what it never read is not answered with an error, whatever it is."""
    log = tempfile.mktemp(prefix="weir-gate-log.")
    with World(echo(log)) as (supervisor, gate):
        gate.request(0, "pid")
        pid = gate.answer()["result"]
        stop(pid)
        for id in range(1, 9):
            gate.request(id, "add", pad="x" * 250_000)  # 2 MB: the pipe, the buffer, and the server's pipe
            if id == 4:
                supervisor.wait_state(lambda s: s["inflight"] == 4)
                os.kill(pid, signal.SIGKILL)
        for id in range(1, 9):
            answer = gate.answer()
            equal((answer["id"], answer.get("result")), (id, "add"))
        equal([int(i) for _, method, i in read_log(log) if method == b"add"], list(range(1, 9)))
        equal(supervisor.figures().get("add", {}).get("errors", 0), 0)
    os.unlink(log)


def test_died_in_the_middle_of_a_short_answer():
    """Not a byte of it is delivered."""
    with World() as (supervisor, gate):
        gate.request(1, "half1000")
        equal(weir_of(gate.answer())["failure"], "ended")
        gate.request(2)
        equal(gate.answer()["id"], 2)
        supervisor.wait("NOTE", note="BROKEN")


def test_died_in_the_middle_of_a_long_answer():
    """What was delivered is ended with a newline, so that the error that follows is a line of its own."""
    with World() as (supervisor, gate):
        gate.request(1, "half900000")
        broken = gate.line()
        assert broken.startswith(b'{"jsonrpc":"2.0","id":1,"result":"xxx') and len(broken) > 800_000, len(broken)
        equal(weir_of(gate.answer())["failure"], "ended")
        gate.request(2)
        equal(gate.answer()["id"], 2)
        supervisor.wait("NOTE", note="BROKEN")


def test_died_after_an_answer_without_its_newline():
    """It is delivered, with a newline, for other lines follow."""
    with World(worker("script", "2", "+" + '{"jsonrpc":"2.0","id":1,"result":0}', "die")) as (supervisor, gate):
        gate.request(1)
        gate.request(2)
        equal(gate.answer(), {"jsonrpc": "2.0", "id": 1, "result": 0})
        equal(weir_of(gate.answer())["failure"], "ended")


def test_what_was_written_before_the_end_is_delivered_however_slow_the_server():
    """More than the server's pipe and the gate's buffer hold, and longer than the gate waits for others' output."""
    with World(worker("parting", "900000")) as (supervisor, gate):
        gate.request(1)
        supervisor.wait("READY")
        time.sleep(3.5)
        got = 0
        while got < 900_000:
            got += len(gate.line()) + 1
        equal(got, 900_000)
        equal(weir_of(gate.answer())["failure"], "ended")


def test_a_long_request_that_was_not_read_is_sent_again_once():
    """Half of it was in the pipe of a worker that read nothing; the next one reads it, and dies: that is the end of it."""
    with World() as (supervisor, gate):
        gate.request(0, "pid")
        pid = gate.answer()["result"]
        stop(pid)
        for id in range(1, 5):
            gate.request(id, "add", pad="x" * 250_000)
        supervisor.wait_state(lambda s: s["inflight"] == 4)
        threading.Thread(target=gate.request, args=(5, "hang"), kwargs=dict(pad="x" * 400_000), daemon=True).start()
        time.sleep(0.5)
        os.kill(pid, signal.SIGKILL)
        for id in range(1, 5):
            answer = gate.answer()
            equal((answer["id"], answer.get("result")), (id, "add"))
        equal(gate.answer()["method"], "hung")
        os.kill(running(gate)[0], signal.SIGKILL)
        weir = weir_of(gate.answer())
        equal((weir["method"], weir["failure"], weir["generation"]), ("hang", "ended", 2))


def long_request(gate, id, method, part=1_500_000):
    """Half of a line that fits into no buffer; returns its rest."""
    line = json.dumps({"jsonrpc": "2.0", "id": id, "method": method, "params": "x" * 2 * part}).encode() + b"\n"
    writer = threading.Thread(target=gate.write, args=(line[:part],), daemon=True)
    writer.start()
    writer.join(PATIENCE)
    return line[part:]


def test_died_in_the_middle_of_a_long_request():
    with World(supervisor=dict(replay=("get",))) as (supervisor, gate):
        gate.request(0, "pid")
        pid = gate.answer()["result"]
        rest = long_request(gate, 1, "add")
        os.kill(pid, signal.SIGKILL)
        supervisor.wait("READY", generation=2)
        gate.write(rest)
        equal(weir_of(gate.answer())["method"], "add")
        gate.request(2, "pid")
        pid = gate.answer()["result"]
        rest = long_request(gate, 3, "get")
        os.kill(pid, signal.SIGKILL)
        supervisor.wait("READY", generation=3)
        gate.write(rest)
        answer = gate.answer()
        equal((answer["id"], answer["result"]), (3, "get"))


def test_died_while_reading_a_long_request_that_is_sent_again():
    with World(supervisor=dict(replay=("get",), replay_max=5)) as (supervisor, gate):
        gate.request(0, "pid")
        stop(gate.answer()["result"])
        rest = None
        writer = threading.Thread(target=gate.send, args=({"jsonrpc": "2.0", "id": 1, "method": "get", "params": "x" * 5_000_000},))
        writer.start()
        time.sleep(0.1)
        for _ in range(3):
            [pid] = running(gate)
            os.kill(pid, signal.SIGKILL)
            until(lambda: [p for p in running(gate) if p != pid])
            [pid] = running(gate)
            stop(pid)
        os.kill(pid, signal.SIGCONT)
        equal(gate.answer()["result"], "get")
        writer.join(PATIENCE)
        assert rest is None


def test_poison():
    """A request that kills its workers is found, and its neighbours are answered."""
    with World(supervisor=dict(replay=("die", "get"), replay_max=2)) as (supervisor, gate):
        gate.request(0)
        gate.answer()
        gate.send(*[{"jsonrpc": "2.0", "id": id, "method": "die" if id == 3 else "get"} for id in range(1, 6)])
        answers = {}
        for _ in range(5):
            answer = gate.answer()
            answers[answer["id"]] = answer
        weir = weir_of(answers.pop(3))
        equal((weir["failure"], weir["method"]), ("poison", "die"))
        equal({id: a["result"] for id, a in answers.items()}, {1: "get", 2: "get", 4: "get", 5: "get"})
        poison = supervisor.wait("NOTE", note="POISON")
        equal((poison.method, poison.id), ("die", "3"))
        assert poison.bytes > 10, "the size of its line"


def test_batches():
    with World(supervisor=dict(replay=("get",))) as (supervisor, gate):
        gate.request(0)
        gate.answer()
        gate.send([{"jsonrpc": "2.0", "id": "a\"b", "method": "hang"}, {"jsonrpc": "2.0", "method": "note"},
                   {"jsonrpc": "2.0", "id": 1.0, "method": "hang2"}])
        equal(gate.answer()["method"], "hung")
        os.kill(running(gate)[0], signal.SIGKILL)
        errors = gate.answer()
        equal([(e["id"], weir_of(e)["method"]) for e in errors], [("a\"b", "hang"), (1.0, "hang2")])


def test_a_batch_that_is_answered_in_parts():
    """Only what is open is answered with an error."""
    with World(worker("script", "1", '{"id":1,"result":0}', "die")) as (supervisor, gate):
        gate.send([{"jsonrpc": "2.0", "id": 1, "method": "a"}, {"jsonrpc": "2.0", "id": 2, "method": "b"}])
        equal(gate.answer(), {"id": 1, "result": 0})
        equal([e["id"] for e in gate.answer()], [2])


def test_a_batch_answered_by_an_array():
    with World(worker("script", "1", '[{"id":2,"result":0},{"id":1,"error":{"code":1,"message":""}}]')) as (supervisor, gate):
        gate.send([{"jsonrpc": "2.0", "id": 1, "method": "a"}, {"jsonrpc": "2.0", "id": 2, "method": "b"}])
        equal([a["id"] for a in gate.answer()], [2, 1])
        supervisor.wait_state(lambda s: s["inflight"] == 0 and s["answers"] == 2 and s["errors"] == 1)


def test_ids_are_matched_by_meaning():
    """1, 1.0 and 10e-1 are one id; an error carries it as the server wrote it."""
    with World(worker("script", "3", '{"id":1,"result":"one"}', '{"id":"\\u0061","result":"two"}', "die")) as (supervisor, gate):
        gate.write(b'{"jsonrpc":"2.0","id":10e-1,"method":"m"}\n{"jsonrpc":"2.0","id":"a","method":"m"}\n'
                   b'{"jsonrpc":"2.0","id":2.50,"method":"m\\"\\u0001"}\n')
        equal(gate.answer()["result"], "one")
        equal(gate.answer()["result"], "two")
        line = gate.line()
        assert b'"id":2.50,' in line, line
        equal(weir_of(json.loads(line))["method"], "m\"\x01")


def test_the_worker_asks_the_server():
    """Its request and its notification pass; the response comes back to it, past a hold, and to nobody else."""
    with World(worker("asker")) as (supervisor, gate):
        equal(gate.answer(), {"jsonrpc": "2.0", "method": "hello"})
        equal(gate.answer(), {"jsonrpc": "2.0", "id": 1, "method": "which"})
        supervisor.order("HOLD")
        supervisor.wait_state(lambda s: s["order"] == C["GATE_ORDER_HOLD"])
        gate.send({"jsonrpc": "2.0", "id": 1, "result": "this"})
        equal(gate.answer(), {"jsonrpc": "2.0", "method": "got", "params": "this"})
        supervisor.order("RELEASE")
        # the same id from the server is another one
        gate.send({"jsonrpc": "2.0", "id": 1, "method": "anything"})
        supervisor.wait_state(lambda s: s["inflight"] == 1)
        gate.send({"jsonrpc": "2.0", "id": 1, "result": "late"})
        equal(gate.answer(), {"jsonrpc": "2.0", "method": "got", "params": "late"})
        supervisor.wait_state(lambda s: s["inflight"] == 1)


def test_a_response_to_a_worker_that_ended_is_dropped():
    """The next one asks with the same ids: it must not get what the last one wanted to know."""
    asks = ({"jsonrpc": "2.0", "method": "hello"}, {"jsonrpc": "2.0", "id": 1, "method": "which"})
    for long in (0, 500_000):
        with World(worker("asker")) as (supervisor, gate):
            for question in asks:
                equal(gate.answer(), question)
            gate.request(5, "die")
            weir_of(gate.answer())
            for question in asks:
                equal(gate.answer(), question)
            supervisor.wait("READY", generation=2)
            gate.send({"jsonrpc": "2.0", "id": 1, "result": "for the first" + "x" * long})
            gate.send({"jsonrpc": "2.0", "id": 1, "result": "for the second"})
            equal(gate.answer(), {"jsonrpc": "2.0", "method": "got", "params": "for the second"})
            gate.send({"jsonrpc": "2.0", "id": 1, "result": "asked by nobody"})
            equal(gate.answer()["params"], "asked by nobody")
            supervisor.wait("NOTE", note="LATE", id="1")


def test_what_cannot_be_followed_passes():
    with World() as (supervisor, gate):
        long_id = "i" * 200
        gate.request(long_id)
        equal(gate.answer()["id"], long_id)
        gate.send([{"jsonrpc": "2.0", "id": i, "method": "m"} for i in range(300)])
        gate.request(2)
        while gate.answer()["id"] != 2:
            pass
        supervisor.wait_state(lambda s: s["notes"]["UNTRACKED"] == 2 and s["inflight"] == 0 and s["queued"] == 0)
        supervisor.wait("NOTE", note="UNTRACKED")


def test_exec_fails():
    with World(["no-such-command-anywhere"], environment={"PATH": "/nowhere:/usr/bin"}) as (supervisor, gate):
        ended = supervisor.wait("ENDED")
        equal(os.waitstatus_to_exitcode(ended.status), 127)
        assert ("weir: exec: no-such-command-anywhere: No such file or directory (looked for in PATH=/nowhere:/usr/bin)"
                in gate.stderr()), gate.stderr()
        supervisor.wait("ENDED", generation=2)
        gate.close_stdin()
        equal(gate.wait(), 127)


def test_exec_is_refused():
    with World(["/etc/passwd"]) as (supervisor, gate):
        equal(os.waitstatus_to_exitcode(supervisor.wait("ENDED").status), 126)


def test_the_folder_of_links_is_left_out_of_path():
    with tempfile.TemporaryDirectory() as folder:
        with World(["python3", "-S", os.path.join(HERE, "worker.py"), "echo"], path=folder,
                   environment={"PATH": "%s/:%s:%s:/usr/bin:/bin:%s" % (folder, os.path.dirname(sys.executable), folder, folder)}) as (_, gate):
            with open(folder + "/python3", "w") as f:
                f.write("#!/bin/sh\nexit 3\n")
            os.chmod(folder + "/python3", 0o755)
            gate.request(1, "envPATH")
            equal(gate.answer()["result"], os.path.dirname(sys.executable) + ":/usr/bin:/bin")
            gate.request(2, "envWEIR_TEST")
            equal(gate.answer()["result"], "1")


def test_exits_as_the_worker_when_the_server_has_closed():
    for method, status in (("exit3", 3), ("exit0", 0), ("die", -9)):
        with World() as (_, gate):
            gate.request(1, method)
            gate.close_stdin()
            weir = weir_of(gate.answer())
            equal(weir["method"], method)
            equal(gate.line(), None)
            equal(gate.wait(), status)


def test_a_clean_end_with_nothing_to_do_is_the_gates_too():
    with World(worker("script", "1", '{"id":1,"result":0}', "exit0")) as (_, gate):
        gate.request(1)
        equal(gate.answer()["id"], 1)
        equal(gate.line(), None)
        equal(gate.wait(), 0)


def test_a_clean_end_is_followed_by_a_worker_if_asked_for():
    with World(worker("script", "1", '{"id":1,"result":0}', "exit0"), supervisor=dict(respawn_clean=1)) as (supervisor, gate):
        for _ in range(3):
            gate.request(1)
            equal(gate.answer()["id"], 1)
        equal(supervisor.wait("READY", generation=3).generation, 3)


def test_an_end_that_weir_makes_is_not_the_gates():
    def go_and_end(supervisor, connection, said):
        supervisor.go(connection)
        supervisor.tell(connection, "ENDING", generation=supervisor.generation, follows=1)
    with World(worker("script", "1", '{"id":1,"result":0}', "exit0"), supervisor=dict(asks=(go_and_end, "go"))) as (supervisor, gate):
        gate.request(1)
        equal(gate.answer()["id"], 1)
        supervisor.wait("READY", generation=2)


def test_the_server_closes_and_still_reads():
    with World(worker("late", "5")) as (_, gate):
        for id in range(5):
            gate.request(id)
        gate.close_stdin()
        equal([gate.answer()["id"] for _ in range(5)], [0, 1, 2, 3, 4])
        equal(gate.line(), None)
        equal(gate.wait(), 0)


def test_the_worker_closes_its_output_and_lives():
    with World(worker("close", "1")) as (supervisor, gate):
        begin = time.monotonic()
        equal(gate.line(), b"half a li")
        equal(gate.line(), None)
        assert 0.7 < time.monotonic() - begin < 20
        equal(gate.process.poll(), None)
        gate.close_stdin()
        equal(gate.wait(), 7)


def test_the_worker_closes_its_input_and_lives():
    """The server's next write fails, as it would without a gate, and the worker's status is the gate's."""
    with World(worker("close", "0")) as (supervisor, gate):
        equal(gate.line(), b"closed")
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)

        def write_fails():
            try:
                gate.write(b"x\n")
            except BrokenPipeError:
                return True
            time.sleep(0.05)
            return False
        until(write_fails)
        equal(gate.line(), b"bye")
        equal(gate.line(), None)
        equal(gate.wait(), 7)


def test_the_server_reads_no_more():
    """The worker's next write fails, as it would without a gate."""
    with World(worker("flood", "100000000")) as (supervisor, gate):
        supervisor.wait("READY")
        os.read(gate.stdout, 1000)
        os.close(gate.stdout)
        gate.stdout = None
        ended = supervisor.wait("ENDED")
        assert ended.status != 0
        gate.close_stdin()
        assert gate.wait() != 0


def test_gate_killed_worker_sees_the_end():
    log = tempfile.mktemp(prefix="weir-gate-log.")
    with World(worker("until-eof", log)) as (supervisor, gate):
        supervisor.wait("READY")
        [pid] = running(gate)
        gate.process.kill()
        until(lambda: os.path.exists(log) and open(log).read() == "eof\n")
        gate.wait()
    os.unlink(log)


def test_gate_killed_child_that_waits_dies():
    with World(supervisor=dict(asks=("silent",))) as (supervisor, gate):
        pid = supervisor.wait("ASK").pid
        gate.process.kill()
        gate.wait()
        until(lambda: not os.path.exists("/proc/%d" % pid) or open("/proc/%d/stat" % pid).read().split()[2] == "Z")


def test_signals_are_passed_on():
    log = tempfile.mktemp(prefix="weir-gate-log.")
    with World(worker("signals", log)) as (supervisor, gate):
        equal(gate.line(), b"ready")
        for name in ("USR1", "USR2", "WINCH", "CONT", "HUP", "INT", "QUIT", "TERM"):
            gate.process.send_signal(getattr(signal, "SIG" + name))
            equal(gate.line(), name.encode())
        gate.send({"jsonrpc": "2.0", "method": "exit"})
        equal(gate.line(), None)
        equal(gate.wait(), 5)  # its end was asked for: no other worker


def test_dies_of_the_signal_its_worker_died_of():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        with World(worker("plain")) as (supervisor, gate):
            equal(gate.line(), b"ready")
            gate.request(1, "hang")
            supervisor.wait_state(lambda s: s["inflight"] == 1)
            gate.process.send_signal(number)
            weir = weir_of(gate.answer())
            assert "signal %d" % number in weir["cause"], weir
            equal(gate.line(), None)
            equal(gate.wait(), -number)


def test_term_without_a_worker():
    with World(supervisor=dict(asks=("go", "silent"))) as (supervisor, gate):
        gate.request(1, "die")
        equal(weir_of(gate.answer())["failure"], "ended")
        supervisor.wait("ASK", generation=1)
        gate.request(2)
        assert gate.quiet()
        gate.process.send_signal(signal.SIGTERM)
        equal(gate.answer()["id"], 2)
        equal(gate.line(), None)
        equal(gate.wait(), -signal.SIGTERM)


def test_the_worker_is_as_the_servers_child():
    """Signal mask and dispositions, parent, group."""
    def before():
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    tell = ("while read -r line; do bits=$(grep -E '^(Sig|Shd)' /proc/$$/status | tr '\\n\\t' '  '); "
            "echo '{\"id\":7,\"result\":\"'$bits '|' $$ $PPID'\"}'; done")
    with World(["sh", "-c", tell], before=before) as (supervisor, gate):
        for generation in (1, 2, 3):
            supervisor.wait("READY", generation=generation)
            gate.request(7)
            bits, pids = (part.split() for part in gate.answer()["result"].split("|"))
            bits = {name.rstrip(":"): int(value, 16) for name, value in zip(bits[::2], bits[1::2]) if name != "SigQ:"}
            equal(bits["SigBlk"], 1 << (signal.SIGUSR2 - 1))
            equal(bits["SigIgn"] & (1 << (signal.SIGPIPE - 1)), 0)
            assert bits["SigIgn"] & (1 << (signal.SIGHUP - 1))
            equal(bits["SigPnd"] | bits["ShdPnd"], 0)
            equal(int(pids[1]), gate.pid)
            equal(os.getpgid(int(pids[0])), os.getpgid(gate.pid))
            os.kill(int(pids[0]), signal.SIGKILL)


def test_the_worker_gets_nothing_of_the_gates():
    """What the server leaves open for its worker is there, for each; of the gate's descriptors none is."""
    extra, other = os.pipe()
    with World(worker("fds"), pass_fds=(other,)) as (supervisor, gate):
        for generation in (1, 2, 3):
            gate.request(7)
            equal(gate.answer()["result"], [0, 1, 2, other])
            os.kill(running(gate)[0], signal.SIGKILL)
            supervisor.wait("READY", generation=generation + 1)
    os.close(extra)
    os.close(other)


def test_the_child_that_waits_keeps_nothing_of_the_gates():
    """The server's pipes, the link: whoever waits for their end must not wait for a child that waits for its place."""
    extra, other = os.pipe()
    with World(supervisor=dict(asks=("silent",)), pass_fds=(other,)) as (supervisor, gate):
        pid = supervisor.wait("ASK").pid
        links = {}

        def settled():
            links.clear()
            links.update({int(fd): os.readlink("/proc/%d/fd/%s" % (pid, fd)) for fd in os.listdir("/proc/%d/fd" % pid)})
            return len(links) <= 6
        until(settled)
        equal(sorted(fd for fd in links if fd in (0, 1, 2, other)), [0, 1, 2, other])
        own = {fd: link for fd, link in links.items() if fd not in (2, other)}
        equal(len(own), 4)  # stdin, stdout, go, exec
        assert all(link.startswith("pipe:") for link in own.values()), own
        gates = {os.readlink("/proc/%d/fd/%d" % (gate.pid, fd)) for fd in (0, 1)}
        equal(gates & set(own.values()), set())
    os.close(extra)
    os.close(other)


def test_descriptors_do_not_grow():
    with World(supervisor=dict(memory="/proc/self/statm")) as (supervisor, gate):
        supervisor.wait("READY", generation=1)
        gate.request(0)
        gate.answer()
        before = os.listdir("/proc/%d/fd" % gate.pid)
        for generation in range(1, 30):
            gate.request(generation, "die")
            gate.answer()
            supervisor.wait("READY", generation=generation + 1)
        equal(sorted(os.listdir("/proc/%d/fd" % gate.pid)), sorted(before))


if __name__ == "__main__":
    run(globals())
