#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run [--json] [--network N] --probes DIRECTORY [--wrapper 'CMD…']: tries each way of
the manifest against a sandbox and prints a score.  CMD is put before the probe and its
arguments; it may hold {listed4}, {listed6} and {port}.  N is the third byte of the
addresses, for a wrapper configured beforehand.  See README.md."""
import argparse
import array
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import tempfile
import threading
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
ECHO = os.path.join(HERE, "..", "lib", "echo.py")
PORT = 7000
LOCAL_PORT = 7001
LIMIT = 30
METADATA = "fd00:ec2::254"  # of Amazon's, where nobody else has it
# What a kernel says that has no such thing, or to whom it never allows it.
ABSENT = {"EAFNOSUPPORT", "EPROTONOSUPPORT", "ESOCKTNOSUPPORT", "ENOPROTOOPT", "ENOSYS",
          "EPERM", "EACCES"}
FIELDS = ("case", "kind", "way", "on", "sibling", "what")
PLACES = ("v4", "v6", "zero", "zero6", "loopback", "own", "dns", "metadata")
WORD = "[a-z0-9-]{1,40}"
LINE = re.compile(
    rf"([1-9][0-9]?)\|(?:(reach)\|({WORD})\|({'|'.join(PLACES)})\|({WORD})"
    rf"|(call)\|((?:calls|ways):{WORD})\|({'|'.join(PLACES)}|socket|abstract|-)"
    rf"\|((?:calls|ways):{WORD})"
    r"|(passed)\|(inherited|stdin|received)\|(-)\|(tcp))\|([ -{}~]{1,100})")


def read_manifest(text):
    """Strict: a line that is neither a comment nor a case is an error."""
    cases = []
    lines = text.split("\n")  # and at no other character that may pass for an end
    if lines[-1] == "":
        lines.pop()
    for number, line in enumerate(lines, 1):
        if line.startswith("#"):
            continue
        match = LINE.fullmatch(line)
        if not match:
            raise ValueError(f"manifest line {number}: {line!r}")
        case = dict(zip(FIELDS, (word for word in match.groups() if word is not None)))
        if any(other[f] == case[f] for other in cases for f in ("what",)):
            raise ValueError(f"manifest line {number}: given twice: {case['what']}")
        cases.append(case)
    return cases


class Network:
    """A namespace behind a veth pair; .2 is listed, .3 is not."""

    def __init__(self, directory, number):
        self.link = f"hostile{number}"
        self.v4, self.v6 = f"198.18.{number}", f"fd00:b:{number}:"
        self.servers, self.payload, self.made = [], {}, False
        self.namespace = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo up; exec sleep infinity"],
            stdout=subprocess.PIPE)
        self.namespace.stdout.readline()
        self.directory = directory
        self.socket = os.path.join(directory, "socket")
        self.abstract = f"hostile-{number}"

    def inside(self, *command):
        return ["nsenter", f"--net=/proc/{self.namespace.pid}/ns/net", *command]

    def begin(self):
        def ip(*words):
            subprocess.run(["ip", *words], check=True)

        def far(*words):
            subprocess.run(self.inside("ip", *words), check=True)

        ip("link", "add", self.link, "type", "veth", "peer", "name", "eth0",
           "netns", str(self.namespace.pid))
        self.made = True
        ip("addr", "add", f"{self.v4}.1/24", "dev", self.link)
        ip("addr", "add", f"{self.v6}:1/64", "dev", self.link, "nodad")
        ip("link", "set", self.link, "up")
        far("link", "set", "eth0", "up")
        for host in ("2", "3"):
            far("addr", "add", f"{self.v4}.{host}/24", "dev", "eth0")
            far("addr", "add", f"{self.v6}:{host}/64", "dev", "eth0", "nodad")
        far("addr", "add", f"{METADATA}/128", "dev", "eth0", "nodad")
        ip("route", "add", f"{METADATA}/128", "dev", self.link)
        listed = [f"{self.v4}.2", f"[{self.v6}:2]"]
        others = [f"{self.v4}.3", f"[{self.v6}:3]"]
        self.serve("listed", self.inside(), [f"{kind}:{address}:{PORT}" for kind in
                                             ("tcp", "udp") for address in listed])
        self.serve("other", self.inside(), [
            f"{kind}:{address}:{port}" for kind in ("tcp", "udp") for address in others
            for port in (PORT, 53)] + [f"tcp:[{METADATA}]:80"])
        self.serve("local", [], [f"tcp:127.0.0.1:{LOCAL_PORT}", f"tcp:[::1]:{LOCAL_PORT}",
                                 f"tcp:{self.v4}.1:{LOCAL_PORT}",
                                 f"unix:{self.socket}", f"abstract:{self.abstract}"])

    def serve(self, name, prefix, words):
        self.payload[name] = os.path.join(self.directory, name)
        server = subprocess.Popen(
            [*prefix, sys.executable, ECHO, "--payload", self.payload[name], *words],
            stdout=subprocess.PIPE)
        self.servers.append(server)
        if server.stdout.readline() != b"ready\n":
            raise RuntimeError("a server does not start")

    def place(self, on):
        """Address and port, and which server is there."""
        return {
            "v4": (f"{self.v4}.3", PORT, "other"), "v6": (f"{self.v6}:3", PORT, "other"),
            "zero": ("0.0.0.0", LOCAL_PORT, "local"), "zero6": ("::", LOCAL_PORT, "local"),
            "loopback": ("127.0.0.1", LOCAL_PORT, "local"),
            "own": (f"{self.v4}.1", LOCAL_PORT, "local"),
            "dns": (f"{self.v4}.3", 53, "other"), "metadata": (METADATA, 80, "other"),
        }[on]

    def listed(self, on):
        six = on in ("v6", "zero6", "metadata")
        return (f"{self.v6}:2" if six else f"{self.v4}.2", PORT, "listed")

    def arrived(self, server, nonce):
        with open(self.payload[server], "rb") as f:
            return nonce.encode() in f.read()

    def end(self):
        for process in self.servers + [self.namespace]:
            process.kill()
            process.wait()
        if self.made:
            subprocess.run(["ip", "link", "del", self.link], check=False,
                           stderr=subprocess.DEVNULL)


class Bench:
    """Runs probes, outside and inside."""

    def __init__(self, network, probes, wrapper):
        self.network, self.wrapper = network, wrapper
        self.probes = os.path.abspath(probes)

    def probe(self, name):
        return os.path.join(self.probes, name)

    def run(self, command, **more):
        more.setdefault("stdin", subprocess.DEVNULL)
        try:
            done = subprocess.run(command, capture_output=True, text=True, errors="replace",
                                  timeout=LIMIT, check=False, **more)
        except subprocess.TimeoutExpired:
            return "no end", 1
        said = done.stdout.strip() or done.stderr.strip() or f"status {done.returncode}"
        return said.splitlines()[-1][:80], done.returncode

    def settle(self, server):
        """What was sent before has been read when the same server has answered us: one
        turn of its loop accepts, the next reads."""
        for _ in range(2):
            for address, port, name in self.doors():
                if name == server:
                    subprocess.run([self.probe("ways"), "tcp", address, str(port)], check=True,
                                   stdout=subprocess.DEVNULL, timeout=LIMIT)

    def doors(self):
        network = self.network
        return [network.listed("v4"), network.listed("v6"), network.place("v4"),
                network.place("v6"), network.place("loopback")]

    def send(self, wrapper, way, place):
        """Whether the bytes of this attempt, and of no other, arrived; and its words."""
        address, port, server = place
        nonce = uuid.uuid4().hex
        said, _ = self.run([*wrapper, self.probe("ways"), way, address, str(port),
                            self.network.listed("v4")[0], nonce])
        self.settle(server)
        return self.network.arrived(server, nonce), said

    def call(self, wrapper, word, on):
        name, way = word.split(":")
        if on in PLACES or name == "ways":
            address, port, _ = self.network.place(on if on in PLACES else "v4")
            # A port that nobody has.
            last = [address, str(LOCAL_PORT + 1 if on == "loopback" else port)]
        else:
            last = {"socket": [self.network.socket],
                    "abstract": [self.network.abstract]}.get(on, [])
        return self.run([*wrapper, self.probe(name), way, *last],
                        cwd=None if wrapper else self.network.directory)[0]

    def passed(self, wrapper, way):
        address, port, server = self.network.place("v4")
        nonce = uuid.uuid4().hex
        with socket.create_connection((address, port)) as given, \
                socket.socket(socket.AF_UNIX) as helper:
            path = os.path.join(self.network.directory, f"give-{nonce}")
            command = [*wrapper, self.probe("passed"), way, nonce, path]
            more = {}
            if way == "inherited":
                more = {"pass_fds": [3], "preexec_fn": lambda: os.dup2(given.fileno(), 3)}
            elif way == "stdin":
                more = {"stdin": given}
            else:
                helper.bind(path)
                os.chmod(path, 0o777)
                helper.listen()
                threading.Thread(target=give, args=(helper, given), daemon=True).start()
            said, _ = self.run(command, **more)
            self.settle(server)
        return self.network.arrived(server, nonce), said

    def attempt(self, case, wrapper):
        if case["kind"] == "reach":
            return self.send(wrapper, case["way"], self.network.place(case["on"]))
        return self.passed(wrapper, case["way"])

    def sibling(self, case):
        if case["kind"] == "call":
            said = self.call(self.wrapper, case["sibling"], "-")
            return said == "done", said
        return self.send(self.wrapper, case["sibling"], self.network.listed(case["on"]))

    def judge_call(self, case):
        """Leaked is what ends inside as it does outside, be it by an errno about the
        arguments: then nothing stopped it."""
        outside = self.call([], case["way"], case["on"])
        if outside.split()[-1] in ABSENT or (case["way"].startswith("ways") and
                                             outside != "done"):
            return "not applicable", f"outside: {outside}"
        inside = self.call(self.wrapper, case["way"], case["on"])
        return "leaked" if inside == outside else None, inside

    def judge_bytes(self, case):
        worked, said = self.attempt(case, [])
        if not worked:
            return "not applicable", f"outside: {said}"
        worked, said = self.attempt(case, self.wrapper)
        return "leaked" if worked else None, said

    def judge(self, case):
        judge = self.judge_call if case["kind"] == "call" else self.judge_bytes
        verdict, said = judge(case)
        if verdict:
            return verdict, said
        sibling, word = self.sibling(case)
        return ("blocked", said) if sibling else ("broken", f"listed sibling: {word}")


def give(helper, given):
    """Hands the connection to who asks; nobody may."""
    try:
        peer = helper.accept()[0]
        peer.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                               array.array("i", [given.fileno()]))])
    except OSError:
        pass


def report(results, as_json):
    score = {}
    for result in results:
        score[result["verdict"]] = score.get(result["verdict"], 0) + 1
    if as_json:
        print(json.dumps({"score": score, "cases": results}, indent=1))
        return
    for r in results:
        print(f"{r['case']:>2} {r['verdict']:<15} {r['what']}  [{r['said']}]")
    print("score:", ", ".join(f"{score[k]} {k}" for k in sorted(score)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--wrapper", default="")
    parser.add_argument("--probes", required=True)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--network", type=int, default=20 + os.getpid() % 200,
                        choices=range(1, 255), metavar="N")
    arguments = parser.parse_args()
    with open(os.path.join(HERE, "manifest"), encoding="ascii", newline="") as f:
        cases = read_manifest(f.read())
    with tempfile.TemporaryDirectory(prefix="hostile.") as directory:
        os.chmod(directory, 0o755)
        network = Network(directory, arguments.network)
        try:
            network.begin()
            names = {"{listed4}": network.listed("v4")[0],
                     "{listed6}": network.listed("v6")[0], "{port}": str(PORT)}
            words = shlex.split(arguments.wrapper)
            for name, value in names.items():
                words = [word.replace(name, value) for word in words]
            bench = Bench(network, arguments.probes, words)
            results = []
            for case in cases:
                verdict, said = bench.judge(case)
                results.append({**case, "verdict": verdict, "said": said})
        finally:
            network.end()
    report(results, arguments.json)
    # What could not be tried at all proves nothing.
    verdicts = {r["verdict"] for r in results}
    return 0 if "blocked" in verdicts and verdicts <= {"blocked", "not applicable"} else 1


if __name__ == "__main__":
    sys.exit(main())
