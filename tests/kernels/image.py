#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""image.py DIRECTORY: stages the root file system of the test machines: the files of
some installed Debian packages and of all they depend on, as they are on this machine,
and the built checkout as /ambit.  No package is installed anew, so that what is tested
in the guest is what was built here."""
import os
import re
import shutil
import subprocess
import sys

PACKAGES = """base-files bash dash coreutils util-linux mount procps iproute2 python3
    python3-jwt python3-cryptography perl openssl bpftool findutils diffutils grep sed mawk
    hostname login passwd libcyaml1 libyaml-0-2 libseccomp2 libcap2 libbpf1 libjansson4
    libssl3 libssl3t64 libc-bin tzdata libc-ares2 libcares2 dnsmasq-base""".split()
SKIPPED = re.compile(r"/usr/share/(doc|man|info|locale|lintian|bash-completion|zoneinfo/right)/|\.pyc$")


def installed():
    """name -> packages it depends on, of what is installed."""
    found = {}
    text = subprocess.run(["dpkg-query", "-W", "-f",
                           "${Package}\t${db:Status-Status}\t${Pre-Depends}, ${Depends}\n"],
                          check=True, capture_output=True, text=True).stdout
    for line in text.splitlines():
        name, status, depends = line.split("\t")
        if status == "installed":
            words = re.split(r"[,|]", depends)
            found[name] = [w.split("(")[0].split(":")[0].strip() for w in words]
    return found


def closure(known):
    wanted, todo = set(), [p for p in PACKAGES if p in known]
    while todo:
        name = todo.pop()
        if name in wanted:
            continue
        wanted.add(name)
        todo += [d for d in known[name] if d in known]
    return sorted(wanted)


def copy(path, root):
    target = root + path
    if os.path.lexists(target) or SKIPPED.search(path) or not os.path.lexists(path):
        return
    if os.path.isdir(path) and not os.path.islink(path):
        os.makedirs(target, exist_ok=True)
        return
    copy_parents(path, root)
    shutil.copy2(path, target, follow_symlinks=False)


def copy_parents(path, root):
    """Directories above, with links (/bin, /lib64) as links."""
    parent = os.path.dirname(path)
    if parent == "/" or os.path.lexists(root + parent):
        return
    copy_parents(parent, root)
    if os.path.islink(parent):
        os.symlink(os.readlink(parent), root + parent)
    else:
        os.makedirs(root + parent, exist_ok=True)


def main(root):
    for link in ("/bin", "/sbin", "/lib", "/lib64", "/lib32", "/libx32"):
        if os.path.islink(link):
            os.symlink(os.readlink(link), root + link)
            os.makedirs(os.path.join(root, os.readlink(link).lstrip("/")), exist_ok=True)
    names = closure(installed())
    files = subprocess.run(["dpkg-query", "-L"] + names, capture_output=True, text=True,
                           check=True).stdout.splitlines()
    for path in sorted(set(files)):
        if path.startswith("/") and path != "/.":
            copy(path, root)
    for path in ("/etc/ld.so.cache", "/etc/passwd", "/etc/group", "/etc/services",
                 "/usr/bin/awk", "/etc/ssl/openssl.cnf"):
        copy(path, root)
    # This machine's may be another, with libraries that are not in the image.
    os.makedirs(root + "/etc/alternatives", exist_ok=True)
    os.symlink("/usr/bin/mawk", root + "/etc/alternatives/awk")
    for directory in ("proc", "sys", "dev", "run", "tmp", "srv", "var/tmp", "var/lib",
                      "var/log", "root", "mnt", "usr/local/share"):
        os.makedirs(os.path.join(root, directory), exist_ok=True)
    os.chmod(root + "/tmp", 0o1777)
    # Names are proven only where there is somebody to ask.
    with open(root + "/etc/resolv.conf", "w", encoding="ascii") as file:
        file.write("nameserver 192.0.2.53\n")
    skip = shutil.ignore_patterns("obj", "san", "musl", "kernels", "*.a", ".git")
    shutil.copytree(os.getcwd(), root + "/ambit", ignore=skip, symlinks=True)
    shutil.copytree(os.getcwd() + "/tests/kernels", root + "/ambit/tests/kernels")


if __name__ == "__main__":
    main(sys.argv[1])
