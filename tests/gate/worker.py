# SPDX-License-Identifier: MIT
"""Workers for the tests of weir-gate: worker.py KIND [WORDS...]. Only what is built in, so that they start fast."""
import os
import sys


def write(data):
    view = memoryview(data)
    while view:
        view = view[os.write(1, view):]


def lines():
    """Lines of stdin, without a buffer that reads ahead more than what is there."""
    parts = []
    while True:
        data = os.read(0, 65536)
        if not data:
            if any(parts):
                yield b"".join(parts)
            return
        parts.append(data)
        if b"\n" in data:
            *whole, rest = b"".join(parts).split(b"\n")
            parts = [rest]
            yield from whole


def member(line, name):
    """The raw text of "name": a number or string; good for the lines that the tests send."""
    at = line.find(b'"' + name + b'":')
    if at < 0:
        return None
    rest = line[at + len(name) + 3:].lstrip()
    if rest[:1] == b'"':
        return rest[:rest.index(b'"', 1) + 1]
    return rest[:min(i for i in (rest.find(b","), rest.find(b"}"), len(rest)) if i >= 0)]


def answer(id, result=b"null"):
    write(b'{"jsonrpc":"2.0","id":' + id + b',"result":' + result + b"}\n")


def echo(words):
    """Answers each request with its method and pid. Methods that begin so do other things: see below."""
    count = 0
    log = open(words[0], "ab", 0) if words else None
    for line in lines():
        id, method = member(line, b"id"), (member(line, b"method") or b'""')[1:-1]
        if log:
            log.write(b"%d %s %s\n" % (os.getpid(), method, id or b"-"))
        if id is None or not method:
            continue
        count += 1
        if method.startswith(b"die"):
            os.kill(os.getpid(), 9)
        elif method.startswith(b"exit"):
            os._exit(int(method[4:] or 0))
        elif method.startswith(b"silent"):
            continue
        elif method.startswith(b"hang"):
            write(b'{"jsonrpc":"2.0","method":"hung"}\n')
        elif method.startswith(b"fail"):
            write(b'{"jsonrpc":"2.0","id":' + id + b',"error":{"code":1,"message":"no"}}\n')
        elif method.startswith(b"big"):
            answer(id, b'"' + b"x" * int(method[3:]) + b'"')
        elif method.startswith(b"half"):
            write(b'{"jsonrpc":"2.0","id":' + id + b',"result":"' + b"x" * int(method[4:]))
            os.kill(os.getpid(), 9)
        elif method.startswith(b"pid"):
            answer(id, b"%d" % os.getpid())
        elif method.startswith(b"env"):
            answer(id, b'"' + os.environ.get(method[3:].decode(), "").encode() + b'"')
        else:
            answer(id, b'"' + method + b'"')


def cat(words):
    """Every byte back."""
    while True:
        data = os.read(0, 1 << 20)
        if not data:
            return
        write(data)


def flood(words):
    """Writes so many bytes before it reads anything, then counts lines."""
    write((b"x" * 999 + b"\n") * (int(words[0]) // 1000))
    write(b"read %d\n" % sum(1 for _ in lines()))


def script(words):
    """Reads so many lines, writes the other words as lines: "die", "exitN" and "hang" are done instead. "+WORD": no newline."""
    source = lines()
    for _ in range(int(words[0])):
        next(source)
    for word in words[1:]:
        if word == "die":
            os.kill(os.getpid(), 9)
        elif word.startswith("exit"):
            os._exit(int(word[4:]))
        elif word.startswith("+"):
            write(word[1:].encode())
        elif word != "hang":
            write(word.encode() + b"\n")
    for _ in source:
        pass


def asker(words):
    """Asks the server, and says what it was told."""
    write(b'{"jsonrpc": "2.0", "method": "hello"}\n{"jsonrpc": "2.0", "id": 1, "method": "which"}\n')
    for line in lines():
        if member(line, b"method") == b'"die"':
            os.kill(os.getpid(), 9)
        if member(line, b"result"):
            write(b'{"jsonrpc":"2.0","method":"got","params":' + member(line, b"result") + b"}\n")


def late(words):
    """Answers all it was asked when nothing more can come."""
    for id in [member(line, b"id") for line in lines()]:
        answer(id)


def close(words):
    """Closes stdout (1) or stdin (0), and lives: until stdin ends, or for a while."""
    import time
    if words[0] == "1":
        write(b"half a li\n")
        os.close(1)
        while os.read(0, 4096):
            pass
    else:
        os.close(0)
        write(b"closed\n")
        time.sleep(3)
        write(b"bye\n")
    os._exit(7)


def until_eof(words):
    for _ in lines():
        pass
    with open(words[0], "w") as log:
        log.write("eof\n")


def signals(words):
    """Says each signal it gets; ends with 5 when asked to."""
    import select
    import signal
    names = {}
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.set_wakeup_fd(tell)  # a handler alone is not run while a read that was about to begin blocks
    for name in ("USR1", "USR2", "WINCH", "CONT", "HUP", "INT", "QUIT", "TERM"):
        number = getattr(signal, "SIG" + name)
        names[number] = name.encode()
        signal.signal(number, lambda *_: None)
    write(b"ready\n")
    while True:
        can, _, _ = select.select([0, told], [], [])
        if told in can:
            for number in os.read(told, 100):
                write(names[number] + b"\n")
        elif b'"exit"' in os.read(0, 4096):
            os._exit(5)


def plain(words):
    """As a program that does not care about signals: they end it, whatever a background job of a shell had ignored. It
    says when that is so: an interpreter that still starts takes an interrupt otherwise."""
    import signal
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    write(b"ready\n")
    for _ in lines():
        pass


def moody(words):
    """Accepts everything, but for those that come after it (the file tells). Dies when asked to."""
    first = not os.path.exists(words[0])
    open(words[0], "w").close()
    for line in lines():
        if b'"die"' in line:
            os.kill(os.getpid(), 9)
        if first:
            answer(member(line, b"id"), b"1")
        else:
            write(b'{"id":' + member(line, b"id") + b',"error":{"code":1,"message":"no"}}\n')


def greeter(words):
    """Says hello, then is an echo."""
    write(b'{"jsonrpc": "2.0", "method": "hello"}\n')
    echo([])


def grower(words):
    """The file that is memory.current to the gate grows by 5000 with each call."""
    for line in lines():
        with open(words[0], "r+") as memory:
            now = int(memory.read())
            memory.seek(0)
            memory.write("%d\n" % (now + 5000))
        answer(member(line, b"id"))


def fds(words):
    for line in lines():
        found = sorted(int(fd) for fd in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + fd))
        answer(member(line, b"id"), b"%r" % found)


def talker(words):
    """Answers, and talks on in the same write; after "flood" it writes without end."""
    for line in lines():
        if b'"flood"' in line:
            while True:
                write(b"x" * 999 + b"\n")
        talk = b"".join(b"talk %d of " % os.getpid() + b"t" * 3000 + b" %d\n" % i for i in (1, 2))
        write(b'{"jsonrpc":"2.0","id":' + member(line, b"id") + b',"result":0}\n' + talk)


def slow_init(words):
    """Answers, init after a while."""
    import time
    for line in lines():
        if b'"init"' in line:
            time.sleep(0.4)
        answer(member(line, b"id"))


def parting(words):
    """Fills its pipe, which the gate empties as it can, and is gone."""
    next(lines())
    write((b"x" * 999 + b"\n") * (int(words[0]) // 1000))
    os.kill(os.getpid(), 9)


KINDS = {"echo": echo, "cat": cat, "flood": flood, "script": script, "asker": asker, "late": late, "close": close,
         "until-eof": until_eof, "signals": signals, "plain": plain, "fds": fds, "moody": moody, "greeter": greeter, "parting": parting, "slow-init": slow_init, "talker": talker, "grower": grower}

if __name__ == "__main__":
    KINDS[sys.argv[1]](sys.argv[2:])
