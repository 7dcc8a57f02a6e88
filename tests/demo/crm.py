#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The CRM behind nginx: crm.py BUNDLE.jwks.  It believes nobody but the node's
authority: nginx has verified the client's certificate, and the token must be the
node's, for this CRM, and for the case that is asked for.  Only openssl is needed
to check that; nothing here is ambit's."""
import base64
import http.server
import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.parse

CASES = {
    "case-4711": {
        "customer": "R. Example",
        "text": "I was charged twice for order 8120.",
        "state": "open",
    }
}
# SubjectPublicKeyInfo of a P-256 key, up to the point.
SPKI = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def integer(raw):
    raw = raw.lstrip(b"\0")
    raw = b"\0" + raw if not raw or raw[0] & 0x80 else raw
    return b"\x02" + bytes([len(raw)]) + raw


def claims_of(token):
    """The claims, if the signature is of a key in the bundle."""
    head, body, signature = token.split(".")
    header = json.loads(decode(head))
    if header["alg"] != "ES256":
        raise ValueError("algorithm")
    with open(sys.argv[1], encoding="ascii") as file:
        key = next(k for k in json.load(file)["keys"] if k.get("kid") == header["kid"])
    raw = decode(signature)
    pair = integer(raw[:32]) + integer(raw[32:])
    with tempfile.TemporaryDirectory() as directory:
        with open(f"{directory}/key", "wb") as file:
            file.write(SPKI + decode(key["x"]) + decode(key["y"]))
        with open(f"{directory}/signature", "wb") as file:
            file.write(b"\x30" + bytes([len(pair)]) + pair)
        subprocess.run(
            ["openssl", "dgst", "-sha256", "-keyform", "DER", "-verify",
             f"{directory}/key", "-signature", f"{directory}/signature"],
            input=f"{head}.{body}".encode(), check=True, stdout=subprocess.DEVNULL)
    return json.loads(decode(body))


def identity_of(certificate):
    names = subprocess.run(
        ["openssl", "x509", "-noout", "-ext", "subjectAltName"],
        input=urllib.parse.unquote(certificate).encode(), check=True,
        capture_output=True).stdout.decode()
    return re.search(r"URI:(spiffe://\S+)", names).group(1)


class Crm(http.server.BaseHTTPRequestHandler):
    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def admit(self):
        name = self.path.removeprefix("/cases/")
        try:
            if self.headers["X-Verify"] != "SUCCESS":
                raise ValueError("certificate: " + str(self.headers["X-Verify"]))
            identity = identity_of(self.headers["X-Certificate"])
            claims = claims_of(self.headers["Authorization"].removeprefix("Bearer "))
            audience = claims["aud"]
            if "https://crm.example.com" not in (
                    [audience] if isinstance(audience, str) else audience):
                raise ValueError("audience")
            if claims["sub"] != identity or claims["exp"] < time.time():
                raise ValueError("subject or time")
            if name not in json.dumps(claims) or name not in CASES:
                raise ValueError("the token is for another case")
        except Exception as error:  # whatever is wrong, the answer is no
            self.answer(403, {"why": repr(error)})
            return None
        return identity, CASES[name]

    def do_GET(self):
        admitted = self.admit()
        if admitted:
            self.answer(200, dict(admitted[1], you=admitted[0]))

    def do_POST(self):
        admitted = self.admit()
        if admitted:
            answer = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            admitted[1].update(state="resolved", answer=answer["answer"])
            self.answer(200, admitted[1])

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 8080), Crm)
print("ready", flush=True)
server.serve_forever()
