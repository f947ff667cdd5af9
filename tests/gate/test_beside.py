# SPDX-License-Identifier: MIT
"""The next worker, made ready beside the present one."""
from kit import *


def prepare(supervisor, gate):
    """Until it is ready; its pid."""
    since = len(supervisor.said)
    supervisor.tell(supervisor.connection, "PREPARE")
    return supervisor.wait("READY", since=since, beside=1).pid


def react(supervisor, connection, said):
    supervisor.go(connection, beside=said.beside)


def swap(supervisor, gate, pid):
    since = len(supervisor.said)
    os.kill(pid, signal.SIGKILL)
    supervisor.wait("READY", since=since, beside=0)


def test_it_takes_over():
    log = tempfile.mktemp(prefix="weir-gate-log.")
    with World(echo(log), supervisor=dict(asks=(react,), handshake=("init",))) as (supervisor, gate):
        gate.request(1, "init")
        gate.answer()
        for id in range(2, 8):
            gate.request(id, "pid")
            pid = gate.answer()["result"]
            fresh = prepare(supervisor, gate)
            assert fresh != pid
            gate.request(id, "pid")
            equal(gate.answer()["result"], pid)  # the present one goes on
            swap(supervisor, gate, pid)
            gate.request(id, "pid")
            equal(gate.answer()["result"], fresh)
        lines = [line.split() for line in open(log)]
        equal(sum(line[1] == "init" for line in lines), 7)
    os.unlink(log)


def test_what_it_says_after_its_handshake_is_not_lost():
    """In the same read as the handshake's answer, while the server takes nothing."""
    with World(worker("talker"), supervisor=dict(asks=(react,), handshake=("init",))) as (supervisor, gate):
        gate.request(1, "init")
        equal(gate.answer()["id"], 1)
        pid = [p for p in pids_of(gate.pid)][0]
        fresh = prepare(supervisor, gate)
        gate.send({"jsonrpc": "2.0", "method": "flood"})  # fills the server's pipe and the gate's buffer
        time.sleep(0.3)
        os.kill(pid, signal.SIGKILL)
        time.sleep(0.3)
        talk = []
        while not (talk and talk[-1].startswith(b"talk %d" % fresh) and talk[-1].endswith(b" 2")):
            line = gate.line()
            if line.startswith(b"talk"):
                talk.append(line)
            else:
                equal(line, b"x" * 999)
        equal([(int(line.split()[1]), int(line.split()[-1])) for line in talk],
              [(pid, 1), (pid, 2), (fresh, 1), (fresh, 2)])


def test_settings_change_meanwhile():
    """The list's places move: whose answer is awaited stays the same."""
    with World(worker("slow-init"), supervisor=dict(asks=(react,), handshake=("ping", "init"))) as (supervisor, gate):
        gate.request(1, "init")
        equal(gate.answer()["id"], 1)
        for handshake in (("init",), ("ping", "init"), ()):
            pid = pids_of(gate.pid)[0]
            since = len(supervisor.said)
            supervisor.tell(supervisor.connection, "PREPARE")
            supervisor.wait("ASK", since=since, beside=1)
            time.sleep(0.1)
            supervisor.settings["handshake"] = handshake
            supervisor.welcome()
            supervisor.wait("READY", since=since, beside=1)
            swap(supervisor, gate, pid)
            gate.request(2)
            equal(gate.answer()["id"], 2)
        assert gate.quiet()


def test_it_dies():
    with World(supervisor=dict(asks=(react,), handshake=("init",))) as (supervisor, gate):
        gate.request(1, "init")
        gate.answer()
        fresh = prepare(supervisor, gate)
        os.kill(fresh, signal.SIGKILL)
        equal(supervisor.wait("ENDED", beside=1).pid, fresh)
        gate.request(2, "die")
        weir_of(gate.answer())
        gate.request(3)
        equal(gate.answer()["id"], 3)


def test_gone_with_the_supervisor():
    with World(supervisor=dict(asks=(react,))) as (supervisor, gate):
        gate.request(1)
        gate.answer()
        fresh = prepare(supervisor, gate)
        supervisor.stop()
        until(lambda: not os.path.exists("/proc/%d" % fresh))
        supervisor.start()
        gate.request(2)
        equal(gate.answer()["id"], 2)
        gate.close_stdin()
        equal(gate.line(), None)
        equal(gate.wait(), 0)


if __name__ == "__main__":
    run(globals())
