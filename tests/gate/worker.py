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
    buffer = b""
    while True:
        data = os.read(0, 65536)
        if not data:
            if buffer:
                yield buffer
            return
        buffer += data
        *whole, buffer = buffer.split(b"\n")
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
    """Answers each request with its method and pid. Methods that begin so do more: die, exit, hang, fail, big, half, pid."""
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
        elif method.startswith(b"hang"):
            continue
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


KINDS = {"echo": echo, "cat": cat}

if __name__ == "__main__":
    KINDS[sys.argv[1]](sys.argv[2:])
