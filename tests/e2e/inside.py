# SPDX-License-Identifier: Apache-2.0
"""What an agent finds around itself: one line NAME=VALUE each.  Run inside by
confinement.t, as python3 -c."""
import ctypes
import grp
import os
import pwd
import resource
import socket
import stat

libc = ctypes.CDLL(None, use_errno=True)


def show(name, value):
    print(f"{name}={value}")


def errno_of(call, *arguments):
    try:
        result = call(*arguments)
    except OSError as error:
        return os.strerror(error.errno)
    return "done" if result is None or result == 0 else result


status = dict(line.split(":\t", 1) for line in open("/proc/self/status").read().splitlines()
              if ":\t" in line)
uid = os.getuid()
show("uids", len(set(os.getresuid() + os.getresgid())) == 1 and uid >= 2000000016)
show("groups", os.getgroups())
for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
    show(name, int(status[name], 16))
show("NoNewPrivs", status["NoNewPrivs"])
show("Seccomp", status["Seccomp"])
show("securebits", hex(libc.prctl(27, 0, 0, 0, 0)))
show("dumpable core", resource.getrlimit(resource.RLIMIT_CORE))
show("processes", resource.getrlimit(resource.RLIMIT_NPROC))
show("open files", resource.getrlimit(resource.RLIMIT_NOFILE))
show("file size", resource.getrlimit(resource.RLIMIT_FSIZE))
show("user", pwd.getpwuid(uid).pw_name)
show("group", grp.getgrgid(os.getgid()).gr_name)
show("users", len(pwd.getpwall()))
show("home", oct(os.stat(os.environ["HOME"]).st_mode & 0o7777))
show("hostname is the host's", socket.gethostname() == os.environ.pop("HOST_NAME", ""))
show("hostname leads to", socket.gethostbyname(socket.gethostname()))
show("environment", " ".join(sorted(os.environ)))
show("descriptors", sorted(int(n) for n in os.listdir("/proc/self/fd"))[:-1])
pids = sorted(int(n) for n in os.listdir("/proc") if n.isdigit())
show("processes seen", len(pids) <= 3 and pids[0] == 1)
show("session", os.getsid(0) == os.getpid() or os.getsid(0) in pids)

for place in ("/sys", "/root", "/boot", "/mnt", "/srv", "/opt", "/var/lib", "/etc/shadow",
              "/etc/ssl/private", "/run/systemd", "/run/dbus", "/var/run/docker.sock",
              "/run/ambit/control", "/run/ambit/audit", "/proc/keys", "/proc/key-users"):
    try:
        what = os.stat(place)
        if stat.S_ISCHR(what.st_mode):
            show(place, "empty" if not open(place, "rb").read() else "bytes")
        else:
            show(place, "there" if not stat.S_ISDIR(what.st_mode) or os.listdir(place)
                 else "empty")
    except OSError as error:
        show(place, error.strerror)

for line in open("/proc/self/mountinfo"):
    left, right = line.split(" - ")
    target, options = left.split()[4:6]
    options = set(options.split(","))
    kind = right.split()[0]
    missing = {"nosuid"} - options
    # The two files of /proc are covered with /dev/null.
    if not target.startswith("/dev") and not target.startswith("/proc/key"):
        missing |= {"nodev"} - options
    if target not in ("/tmp", "/home/agent", "/dev/shm", "/dev/pts") \
            and not target.startswith("/given/write"):
        missing |= {"ro"} - options
    if target in ("/", "/dev", "/tmp", "/home/agent", "/dev/shm", "/dev/pts", "/proc", "/run/ambit",
                  "/given/write"):
        missing |= {"noexec"} - options
    if missing:
        show(f"mount {target} {kind} lacks", sorted(missing))

for path in ("/", "/usr/x", "/etc/x", "/dev/x", "/proc/sys/kernel/hostname",
             "/proc/self/oom_score_adj", "/run/x"):
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write("0")
        show(f"write {path}", "done")
    except OSError as error:
        show(f"write {path}", "refused")

# Listed paths: owned by the agent as it sees them, by their owner outside.
for path in ("/given/read", "/given/write"):
    what = os.stat(path)
    show(path, f"{what.st_uid == uid} {oct(what.st_mode & 0o7777)}")
show("read", open("/given/read/file", encoding="ascii").read().strip())
show("write in read", errno_of(os.mkdir, "/given/read/new"))
os.makedirs("/given/write/new/deep")
with open("/given/write/new/file", "w", encoding="ascii") as file:
    file.write("#!/bin/sh\necho it ran\n")
os.chmod("/given/write/new/file", 0o755)
show("exec of what it wrote", errno_of(os.execv, "/given/write/new/file", ["file"]))
show("exec through the loader", os.system("/lib64/ld-linux-x86-64.so.2 /given/write/new/true"
                                          " 2>/dev/null") != 0)
os.system("cp /bin/true /given/write/new/true")
show("exec of a copy through the loader",
     os.system("/lib64/ld-linux-x86-64.so.2 /given/write/new/true 2>/dev/null") != 0)
for path in ("/tmp", "/home/agent", "/dev/shm"):
    os.system(f"cp /bin/true {path}/true")
    show(f"exec in {path}", errno_of(os.execv, f"{path}/true", ["true"]))


def memory_file():
    fd = os.memfd_create("x")
    os.write(fd, open("/bin/true", "rb").read())
    os.execv(f"/proc/self/fd/{fd}", ["true"])


show("exec of a memory file", errno_of(memory_file))


def too_large():
    with open("/tmp/large", "wb") as file:
        file.truncate(2 << 20)


import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
show("a file over file-size", errno_of(too_large))
held = []
try:
    while len(held) < 2000:
        held.append(os.open("/dev/null", os.O_RDONLY))
except OSError as error:
    show("too many open files", error.strerror)
for fd in held:
    os.close(fd)
children = []
try:
    while len(children) < 200:
        child = os.fork()
        if child == 0:
            signal.pause()
        children.append(child)
except OSError as error:
    show("too many processes", error.strerror)
for child in children:
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
