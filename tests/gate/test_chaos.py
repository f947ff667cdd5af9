# SPDX-License-Identifier: MIT
"""Everything at once, at random, by seed: kills, stops, orders, refusals, reloads, a supervisor that goes and comes back, a
next worker made ready beside the present one, while requests of all kinds and sizes flow. Each id is answered once, what
must not be done twice is not, and at the end the gate ends as it should. GATE_SEEDS="FIRST LAST" runs others."""
import random

from kit import *
from test_ends import Reader, read_log, running

METHODS = ("add", "get", "find", "big100000", "big10", "half500", "half90000", "fail", "init", "exit0", "exit1")
REPLAY = ("get", "find", "half500", "big10")
PADS = (0, 10, 3000, 100_000, 400_000)


class Chaos:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.log = tempfile.mktemp(prefix="weir-gate-log.")
        self.sent, self.stop = {}, threading.Event()
        self.steps = []

    def run(self):
        asks = [self.react]
        with World(echo(self.log), supervisor=dict(asks=asks, replay=REPLAY, handshake=("init",), replay_max=3,
                                                   patience_us=1_500_000, memory_bytes=50_000)) as (supervisor, gate):
            self.supervisor, self.gate = supervisor, gate
            self.reader = Reader(gate)
            server = threading.Thread(target=self.serve, daemon=True)
            server.start()
            for _ in range(12 if SANITIZED else 40):
                step = self.rng.choice((self.kill, self.kill, self.stop_for_a_while, self.hold, self.pace, self.drain,
                                        self.release, self.reload, self.bounce, self.prepare, self.pause))
                self.steps.append(step.__name__)
                step()
                time.sleep(self.rng.choice((0, 0.01, 0.05)))
            self.stop.set()
            self.calm()
            server.join(PATIENCE)
            assert not server.is_alive(), "the server is stuck; %r" % self.steps
            self.reader.wait(lambda answers: all(id in answers for id in self.sent))
            gate.close_stdin()
            self.reader.join(PATIENCE)
            gate.wait()
            self.check()
        os.unlink(self.log)

    # ------------------------------------------ the server ------------------------------------------

    def serve(self):
        rng, id = random.Random(self.rng.random()), 0
        while not self.stop.is_set():
            count = rng.choice((1, 1, 1, 3))
            messages = []
            for _ in range(count):
                id += 1
                self.sent[id] = method = rng.choice(METHODS[:-2]) if rng.random() < 0.95 else rng.choice(METHODS)
                messages.append({"jsonrpc": "2.0", "id": id, "method": method, "params": "x" * rng.choice(PADS)})
            if rng.random() < 0.1:
                self.gate.send({"jsonrpc": "2.0", "method": "note", "params": "y" * rng.choice(PADS)})
            self.gate.send(*messages)
            self.reader.wait(lambda answers: len(self.sent) - len(answers) < 12)

    # ------------------------------------------ what happens ------------------------------------------

    def react(self, supervisor, connection, said):
        beside = said.beside
        if self.rng.random() < 0.1 and not self.stop.is_set():
            supervisor.tell(connection, "REFUSE", text="chaos", beside=beside)
            if not beside:
                supervisor.tell(connection, "ASK_AGAIN")
        else:
            supervisor.go(connection, beside=beside)

    def connected(self, do):
        """Where there is no supervisor just now, nothing is said."""
        try:
            if self.supervisor.connection:
                do()
        except (OSError, AttributeError):
            pass

    def signal(self, pids, number):
        for pid in pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def kill(self):
        self.signal([pid for pid in running(self.gate) if self.rng.random() < 0.7], signal.SIGKILL)

    def stop_for_a_while(self):
        pids = running(self.gate)
        self.signal(pids, signal.SIGSTOP)
        time.sleep(self.rng.choice((0.01, 0.1)))
        if self.rng.random() < 0.5:
            self.hold()
        self.signal([pid for pid in pids if self.rng.random() < 0.5], signal.SIGKILL)
        self.signal(pids, signal.SIGCONT)

    def hold(self):
        self.connected(lambda: self.supervisor.order("HOLD"))

    def pace(self):
        self.connected(lambda: self.supervisor.order("PACE", inflight=self.rng.choice((0, 1, 3)),
                                                     interval_us=self.rng.choice((0, 1000, 50_000))))

    def drain(self):
        self.connected(lambda: self.supervisor.order("DRAIN"))

    def release(self):
        self.connected(lambda: self.supervisor.order("RELEASE"))

    def reload(self):
        self.supervisor.settings["handshake"] = self.rng.choice((("init",), (), ("ping", "init")))
        self.connected(self.supervisor.welcome)

    def prepare(self):
        self.connected(lambda: self.supervisor.tell(self.supervisor.connection, "PREPARE"))

    def bounce(self):
        self.supervisor.stop()
        time.sleep(self.rng.choice((0, 0.1, 0.7)))
        self.supervisor.start()

    def pause(self):
        before = len(self.reader.answers)
        end = time.monotonic() + 2
        while len(self.reader.answers) < before + 20 and time.monotonic() < end:
            time.sleep(0.01)

    def calm(self):
        """No order in force, and stays so."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and not all(id in self.reader.answers for id in list(self.sent)):
            self.release()
            time.sleep(0.2)

    # ------------------------------------------ what must be true ------------------------------------------

    def check(self):
        executed = {}
        for _, method, id in read_log(self.log):
            if id != b"-" and method != b"init":
                executed[int(id)] = executed.get(int(id), 0) + 1
        equal(self.reader.twice, [])
        equal([line[:80] for line in self.reader.other if not line.startswith(b'{"jsonrpc":"2.0","id":')], [])
        failures = {}
        for id, method in self.sent.items():
            answer = self.reader.answers[id]
            if method not in REPLAY and method != "init":
                assert executed.get(id, 0) <= 1, "%d (%s) was carried out %d times" % (id, method, executed[id])
            if "result" in answer:
                assert executed.get(id, 0) >= 1 or method == "init", "%d (%s): no worker saw it" % (id, method)
            elif answer["error"]["code"] != 1:  # the worker's own
                failure = weir_of(answer)["failure"]
                failures[failure] = failures.get(failure, 0) + 1
                if failure in ("down", "impatient") and method not in REPLAY:
                    equal((id, executed.get(id, 0)), (id, 0))
        print("# %d requests, errors %r" % (len(self.sent), failures))


def test_chaos():
    first, last = map(int, os.environ.get("GATE_SEEDS", "1 6").split())
    for seed in range(first, last + 1):
        chaos = Chaos(seed)
        try:
            chaos.run()
        except BaseException:
            print("# seed %d, steps %r" % (seed, chaos.steps))
            raise


if __name__ == "__main__":
    run({"test_chaos": test_chaos})
