#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""manifest.py SECONDS FILE…: the manifest reader of tests/hostile/corpus.py on each
FILE, then on mutants of them for so long.  It must take a text or raise ValueError, and
what it took must be what the text says, line by line.  Prints how many it read and took;
a text that breaks it is left in /tmp/ambit-fuzz.manifest/."""
import os
import random
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "hostile"))
import corpus

BROKEN = "/tmp/ambit-fuzz.manifest"
PIECES = ["|", "\n", "\r", "\0", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "#", " ", "-",
          "reach", "call", "passed", "calls:", "ways:", "../", "$(id)", "0", "99", "tcp",
          "v4", "zero6", "\u0663", "\ud800", "\x1b[2J", "a" * 101]


def check(text):
    """Whether the text was taken; AssertionError for one that was read wrongly."""
    try:
        cases = corpus.read_manifest(text)
    except ValueError:
        return False
    lines = [line for line in (text + "\n").split("\n") if line and line[0] != "#"]
    assert ["|".join(case.values()) for case in cases] == lines, "not what it says"
    assert "\n\n" not in text and text[:1] != "\n", "an empty line was taken"
    assert all(" " <= character <= "~" for line in lines for character in line)
    return True


def mutant(kept, chance):
    text = chance.choice(kept)
    for _ in range(chance.randint(1, 6)):
        at = chance.randint(0, len(text))
        end = min(len(text), at + chance.choice((0, 0, 1, 1, 8, 80)))
        other = chance.choice(kept)
        start = chance.randint(0, len(other))
        text = text[:at] + chance.choice((
            "", chance.choice(PIECES), chr(chance.randint(0, 0x2ff)),
            other[start:start + chance.randint(0, 120)])) + text[end:]
    return text


def main(seconds, *paths):
    kept = []
    for path in paths:
        with open(path, encoding="utf-8", newline="", errors="surrogateescape") as file:
            kept.append(file.read())
    chance = random.Random()
    read = taken = 0
    end = time.monotonic() + float(seconds)
    while read < len(kept) or time.monotonic() < end:
        text = kept[read] if read < len(kept) else mutant(kept, chance)
        read += 1
        try:
            taken += check(text)
        except Exception as error:  # of any kind: that is what is looked for
            os.makedirs(BROKEN, exist_ok=True)
            with open(os.path.join(BROKEN, "text"), "w", encoding="utf-8",
                      errors="surrogatepass", newline="") as file:
                file.write(text)
            sys.exit(f"{type(error).__name__}: {error}; see {BROKEN}/text")
    print(f"read {read} taken {taken}")


if __name__ == "__main__":
    main(*sys.argv[1:])
