#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# ambit-issuer and ambit-porter, with build/tests/bin/identity in the warden's
# place.  What they make is judged by programs that know nothing of ambit:
# openssl, python3-cryptography, PyJWT.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
export PATH="$PATH:/usr/sbin:/sbin"

libexec=build/libexec/ambit
driver=build/tests/bin/identity
python=/usr/bin/python3
issuer=2000000001 porter=2000000002 agent=2000000016 stranger=2000000017
id=01900000-0000-7000-8000-000000000001
crm=https://crm.example.com
tab=$'\t'
[ "$(id -u)" = 0 ] || bail_out "must be root"

top=$(mktemp -d /dev/shm/ambit-identity.XXXXXX) || bail_out "no directory in memory"
at_exit 'rm -rf "$top"'
at_exit 'end'
chmod 711 "$top"

# ---- the driver ---------------------------------------------------------------
driver_pid=
lines=()

keys() {	# keys NAME: a new, empty key directory
	keys=$top/$1
	mkdir -m 700 "$keys" && chown $issuer:$issuer "$keys"
}
directory() {	# directory NAME: a new credential directory of the agent's
	directory=$top/$1
	mkdir "$directory" && chown $porter:$agent "$directory" &&
		chmod 2750 "$directory"
}
begin() {	# begin both|issuer|porter [DOMAIN]
	lines=()
	coproc DRIVER { exec "$driver" "$1" "$keys" "${2-}" "$libexec" $issuer $porter \
		2>"$top/stderr"; }
	driver_pid=$DRIVER_PID from=${DRIVER[0]} to=${DRIVER[1]}
	exec {hear}<&"$from" {speak}>&"$to"
	eval "exec $from<&- $to>&-"
}
end() {		# its sockets close, the processes end, so does the driver
	[ -n "$driver_pid" ] || return 0
	exec {speak}>&-
	cat <&"$hear" >/dev/null
	exec {hear}<&-
	wait "$driver_pid"
	driver_pid=
}
say() {		# say WORD…
	local IFS=$tab
	printf '%s\n' "$*" >&"$speak"
}
# hear PATTERN: the first line that matches, now or within 20 s, into `line` and
# `field`; lines before it are kept for later.
hear() {
	local i
	line= field=()
	for i in "${!lines[@]}"; do
		case ${lines[i]} in
		$1)
			line=${lines[i]}
			unset "lines[i]"
			IFS=$tab read -ra field <<<"${line//$tab$tab/$tab-$tab}"
			return 0 ;;
		esac
	done
	local next
	while IFS= read -r -t 20 -u "$hear" next; do
		case $next in
		$1)
			line=$next
			IFS=$tab read -ra field <<<"${line//$tab$tab/$tab-$tab}"
			return 0 ;;
		esac
		lines+=("$next")
	done
	diag "not heard: $1"
	return 1
}
ready() {	# ready both|issuer|porter [DOMAIN]: fills `domain`
	begin "$@"
	[ "$1" = issuer ] || hear "ready${tab}porter*" || bail_out "no porter"
	[ "$1" = porter ] && return
	hear "*${tab}issuer*" || bail_out "no issuer"
	[ "${field[0]}" = ready ] || bail_out "$line"
	domain=${field[2]}
}

# ---- first start --------------------------------------------------------------
keys keys
ready both
first_domain=$domain
like "a trust domain is made" "$domain" ambit-
is "and is a valid one" "$(printf %s "$domain" | grep -cE '^[a-z0-9._-]{1,255}$')" 1
is "the key directory holds one set" "$(ls "$keys")" authority
is "which only the issuer can read" \
	"$(cd "$keys/authority" && stat -c '%n %a %u %g' . * | tr '\n' ';')" \
	". 700 $issuer $issuer;bundle.jwks 600 $issuer $issuer;ca.key 600 $issuer $issuer;ca.pem 600 $issuer $issuer;keys.jwks 600 $issuer $issuer;token.key 600 $issuer $issuer;"
for process in issuer porter; do
	say pid $process
	hear "pid${tab}$process*"
	pid=${field[2]}
	uid=${!process}
	like "$process: its own uid, no capability, filter, no new privileges" \
		"$(tr '\n' ' ' </proc/$pid/status)" \
		"Uid:$tab$uid$tab$uid$tab$uid$tab$uid" \
		"Gid:$tab$uid$tab$uid$tab$uid$tab$uid" \
		"CapPrm:${tab}0000000000000000" "CapBnd:${tab}0000000000000000" \
		"Seccomp:${tab}2" "NoNewPrivs:${tab}1" 
	like "$process: no core file" "$(tr -s ' ' <"/proc/$pid/limits")" \
		"Max core file size 0 0"
	rss=$(awk '/^VmRSS/ { print $2 }' /proc/$pid/status)
	# The issuer's is OpenSSL's, which grows with its versions (3.0: 6, 3.5: 8 MiB).
	most=$([ $process = issuer ] && echo 9216 || echo 2560)
	ok "$process: $rss KiB of memory, at most $most" [ "$rss" -le "$most" ]
done

# ---- a launch -----------------------------------------------------------------
directory agent
task='CASE "7" \ ü'
creds=("tls,x509-svid,3600" "crm,jwt-svid,300,$crm")
say admit 7 max $id "spiffe://$domain/agent/support-agent" "$task" "${creds[@]}"
say serve 7 "$directory" "${creds[@]}"
hear "minted${tab}7${tab}0*"
serial=${field[7]}
is "minted, for the first time" "${field[3]} ${field[4]}" "0 0"
hear "minted${tab}7${tab}1*"
jti=${field[7]}
is "not in place before PUBLISH" "$(ls "$directory")" ""
say publish 7 0
say publish 7 1
hear "published${tab}7${tab}0*"
is "published" "${field[3]}" 0
hear "published${tab}7${tab}1*"
is "published, the other too" "${field[3]}" 0
is "the files, for the agent's group and nobody else" \
	"$(cd "$directory" && stat -c '%n %a %u %g' -- * | tr '\n' ';')" \
	"crm 440 $porter $agent;crm.bundle 440 $porter $agent;tls 440 $porter $agent;tls.bundle 440 $porter $agent;tls.crt 440 $porter $agent;tls.key 440 $porter $agent;"
is "and no other name" "$(ls -A "$directory" | wc -l)" 6
as() { setpriv --reuid="$1" --regid="$1" --clear-groups "${@:2}"; }
runs "the agent reads" 0 as $agent cat "$directory/crm" "$directory/tls"
runs "another agent does not" 1 as $stranger cat "$directory/crm"
runs "the agent can't write" 1 as $agent bash -c "echo >>'$directory/crm'"
runs "nor replace" 1 as $agent bash -c "echo >'$directory/new'"
runs "nor remove" 1 as $agent rm -f "$directory/crm"

# ---- the certificate ----------------------------------------------------------
for purpose in sslclient sslserver; do
	runs "openssl verify -x509_strict -purpose $purpose" 0 \
		openssl verify -x509_strict -purpose $purpose \
		-CAfile "$directory/tls.bundle" "$directory/tls"
done
runs "the CA holds against -x509_strict" 0 openssl verify -x509_strict \
	-check_ss_sig -CAfile "$directory/tls.bundle" "$directory/tls.bundle"
run $python -c '
import sys
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding, PublicFormat, load_pem_private_key)
from cryptography.x509.oid import ExtendedKeyUsageOID as usage, ExtensionOID as oid
directory, identity, serial = sys.argv[1:]
read = lambda name: open(directory + "/" + name, "rb").read()
def names(c):
    e = c.extensions.get_extension_for_oid(oid.SUBJECT_ALTERNATIVE_NAME)
    return e.critical, [(type(n).__name__, n.value) for n in e.value]
leaf = x509.load_pem_x509_certificate(read("tls.crt"))
ca = x509.load_pem_x509_certificate(read("tls.bundle"))
key = load_pem_private_key(read("tls.key"), None)
assert read("tls") == read("tls.crt") + read("tls.key")
spki = lambda k: k.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
assert spki(key.public_key()) == spki(leaf.public_key())
assert isinstance(key.curve, ec.SECP256R1)
assert names(leaf) == (True, [("UniformResourceIdentifier", identity)]), names(leaf)
assert len(leaf.subject) == 0 and leaf.issuer == ca.subject
assert format(leaf.serial_number, "x") == serial and len(serial) == 32
get = lambda c, o: c.extensions.get_extension_for_oid(o)
e = get(leaf, oid.BASIC_CONSTRAINTS); assert e.critical and not e.value.ca
e = get(leaf, oid.KEY_USAGE); v = e.value
assert e.critical and v.digital_signature
assert not (v.key_encipherment or v.key_agreement or v.key_cert_sign or v.crl_sign)
assert set(get(leaf, oid.EXTENDED_KEY_USAGE).value) == {usage.SERVER_AUTH, usage.CLIENT_AUTH}
ski = get(ca, oid.SUBJECT_KEY_IDENTIFIER).value.digest
assert get(leaf, oid.AUTHORITY_KEY_IDENTIFIER).value.key_identifier == ski
assert get(leaf, oid.SUBJECT_KEY_IDENTIFIER).value.digest != ski
# With time zone since python3-cryptography 42.
end = lambda c: getattr(c, "not_valid_after_utc", None) or c.not_valid_after
begin = lambda c: getattr(c, "not_valid_before_utc", None) or c.not_valid_before
assert (end(leaf) - begin(leaf)).seconds == 3610
assert len(leaf.extensions) == 6
e = get(ca, oid.BASIC_CONSTRAINTS)
assert e.critical and e.value.ca and e.value.path_length == 0
e = get(ca, oid.KEY_USAGE); v = e.value
assert e.critical and v.key_cert_sign and v.crl_sign and not v.digital_signature
assert names(ca)[1] == [("UniformResourceIdentifier", identity.split("/agent/")[0])]
' "$directory" "spiffe://$domain/agent/support-agent" "$serial"
is "python3-cryptography: leaf and CA are as SPIFFE wants them" "$STATUS$ERR" 0

# ---- the token ----------------------------------------------------------------
run $python -c '
import json, jwt, sys, time
directory, keys, domain, audience, agent, task, jti = sys.argv[1:]
token = open(directory + "/crm").read()
assert token == token.strip() and token.count(".") == 2
bundle = json.load(open(directory + "/crm.bundle"))
assert bundle["spiffe_sequence"] > 0 and bundle["spiffe_refresh_hint"] == 300
by_use = {k["use"]: k for k in bundle["keys"]}
assert set(by_use) == {"x509-svid", "jwt-svid"} and len(bundle["keys"]) == 2
assert "kid" not in by_use["x509-svid"] and len(by_use["x509-svid"]["x5c"]) == 1
header = jwt.get_unverified_header(token)
assert header == {"alg": "ES256", "typ": "JWT", "kid": by_use["jwt-svid"]["kid"]}, header
for key in by_use["jwt-svid"], json.load(open(keys + "/authority/keys.jwks"))["keys"][0]:
    claims = jwt.decode(token, jwt.PyJWK(key, "ES256").key, ["ES256"],
                        audience=audience, issuer="spiffe://" + domain)
assert json.load(open(keys + "/authority/bundle.jwks")) == bundle
assert claims == {
    "iss": "spiffe://" + domain, "sub": "spiffe://" + domain + "/agent/support-agent",
    "aud": audience, "iat": claims["iat"], "exp": claims["iat"] + 300, "jti": jti,
    "ambit_agent": agent, "ambit_task": task}, claims
assert abs(claims["iat"] - time.time()) < 60 and len(jti) == 32
try:
    jwt.decode(token, jwt.PyJWK(key, "ES256").key, ["ES256"], audience="https://other.example.com")
    sys.exit("taken for another audience")
except jwt.InvalidAudienceError:
    pass
' "$directory" "$keys" "$domain" "$crm" $id "$task" "$jti"
is "PyJWT: header, signature and claims, by both key sets" "$STATUS$ERR" 0

# ---- a handshake --------------------------------------------------------------
serve_tls() {	# one connection, answered with a status page
	coproc SERVER { exec openssl s_server -accept 127.0.0.1:0 -naccept 1 -www \
		-Verify 1 -verify_return_error -cert "$directory/tls" \
		-key "$directory/tls" -CAfile "$directory/tls.bundle" 2>&1; }
	server_pid=$SERVER_PID
	local said
	while IFS= read -r -t 20 -u "${SERVER[0]}" said; do
		case $said in ACCEPT\ 127*) address=${said#ACCEPT } && return 0 ;; esac
	done
	return 1
}
ask_tls() {
	printf 'GET / HTTP/1.0\r\n\r\n' |
		timeout 20 openssl s_client -connect "$address" -ign_eof \
		-CAfile "$directory/tls.bundle" -verify_return_error "$@" \
		>"$top/tls.out" 2>&1
	wait "$server_pid"
	tr -d '\000' <"$top/tls.out"
}
serve_tls || bail_out "openssl s_server does not start"
like "two agents' TLS, each verified by the other" \
	"$(ask_tls -cert "$directory/tls" -key "$directory/tls")" \
	"Verify return code: 0 (ok)" "HTTP/1.0 200" "spiffe://$domain/agent/support-agent"
serve_tls || bail_out "openssl s_server does not start"
like "no TLS without a client certificate" "$(ask_tls)" "alert certificate required"

# ---- dismissed ----------------------------------------------------------------
say dismiss 7
say publish 7 0
hear "published${tab}7*"
is "an instance that was dismissed is not known" "${field[3]}" ESRCH
is "its files are gone" "$(ls -A "$directory")" ""

# ---- ceilings -----------------------------------------------------------------
directory ceilings
say auto on
creds=("tls,x509-svid,8640000" "crm,jwt-svid,8640000,$crm")
say admit 8 max $id "spiffe://$domain/agent/a" - "${creds[@]}"
say serve 8 "$directory" "${creds[@]}"
hear "minted${tab}8${tab}0*"
is "a certificate lives for 24 hours at most" $((field[6] - field[5])) 86410
hear "minted${tab}8${tab}1*"
is "a token for one" $((field[6] - field[5])) 3600
now=$(date +%s)
directory deadline
creds=("tls,x509-svid,3600")
say admit 9 $((now + 100)) $id "spiffe://$domain/agent/a" - "${creds[@]}"
say serve 9 "$directory" "${creds[@]}"
hear "minted${tab}9*"
is "no longer than the deadline" "${field[6]}" $((now + 100))

# ---- renewal ------------------------------------------------------------------
directory renewal
creds=("tls,x509-svid,4")
say admit 10 max $id "spiffe://$domain/agent/a" - "${creds[@]}"
say serve 10 "$directory" "${creds[@]}"
hear "published${tab}10*"
hear "minted${tab}10*"
first=${field[7]}
inode=$(stat -c %i "$directory/tls")
exec {held}<"$directory/tls"
hear "minted${tab}10${tab}0${tab}0${tab}1*"
second=${field[7]}
ok "renewed with another serial" [ "$first" != "$second" ]
hear "published${tab}10*"
number() { openssl x509 -noout -serial | tr A-F a-f; }
is "the new one is in place" "$(number <"$directory/tls")" "serial=$second"
ok "by rename: another file" [ "$inode" != "$(stat -c %i "$directory/tls")" ]
is "who has the old one open still reads it whole" "$(number <&"$held")" "serial=$first"
exec {held}<&-
runs "chain and key of one file belong together" 0 $python -c \
	'import ssl, sys; ssl.create_default_context().load_cert_chain(sys.argv[1])' \
	"$directory/tls"
say dismiss 10

# Nothing is published any more: the log is broken, say.  What is in place stays
# until its end and no longer.
say auto off
directory ends
creds=("tls,x509-svid,3")
say admit 11 max $id "spiffe://$domain/agent/a" - "${creds[@]}"
say serve 11 "$directory" "${creds[@]}"
hear "minted${tab}11*"
say publish 11 0
hear "published${tab}11*"
hear "minted${tab}11${tab}0${tab}0${tab}1*"
is "it stays while its successor waits" \
	"$(ls "$directory" | tr '\n' ' ')" "tls tls.bundle tls.crt tls.key "
hear "minted${tab}11${tab}0${tab}0${tab}1*"
is "and goes when it ends" "$(ls "$directory")" ""
say dismiss 11

# ---- what the porter refuses --------------------------------------------------
directory vanished
creds=("tls,x509-svid,60")
say admit 12 max $id "spiffe://$domain/agent/a" - "${creds[@]}"
say serve 12 "$directory" "${creds[@]}"
hear "minted${tab}12*"
rm -f "$directory"/.tls*
say publish 12 0
hear "published${tab}12*"
is "files that vanished are told" "${field[3]}" ENOENT
say dismiss 12
directory open
chmod 2755 "$directory"
say serve 13 "$directory" "${creds[@]}"
hear "minted${tab}13*"
is "a directory that is open to others" "${field[3]}" EPERM
directory foreign
chown $stranger:$agent "$directory"
chmod 2750 "$directory"
say serve 14 "$directory" "${creds[@]}"
hear "minted${tab}14*"
is "a directory that is another's" "${field[3]}" EPERM
directory names
for name in ../tls tls.crt .tls "" a/b; do
	say serve 15 "$directory" "$name,x509-svid,60"
	hear "minted${tab}15*"
	is "a credential called '$name'" "${field[3]}" EINVAL
done
say serve 15 "$directory" a,x509-svid,60 a,x509-svid,60
hear "minted${tab}15${tab}1*"
is "two of one name" "${field[3]}" EEXIST
say serve 16 "$directory" "${creds[@]}"
hear "minted${tab}16*"
is "an instance that the issuer does not know" "${field[3]}" EACCES
directory leftover
printf x | tee "$directory/.tls.new" "$directory/.tls.key.new" >"$directory/tls"
ln -s /etc/passwd "$directory/.tls.crt.new"
chown -h $porter "$directory"/.tls* "$directory/tls"
say auto on
say admit 17 max $id "spiffe://$domain/agent/a" - "${creds[@]}"
say serve 17 "$directory" "${creds[@]}"
hear "published${tab}17*"
is "what an earlier porter left is replaced" "$(ls -A "$directory" | tr '\n' ' ')" \
	"tls tls.bundle tls.crt tls.key "
runs "by what holds" 0 openssl verify -CAfile "$directory/tls.bundle" "$directory/tls"
ok "and no link was followed" grep -q ^root: /etc/passwd

# ---- one of them ends ---------------------------------------------------------
say close issuer
hear "exited${tab}issuer*"
is "the issuer ends when the warden is gone" "${field[2]}" 0
hear "exited${tab}porter*"
is "the porter follows the issuer" "${field[2]}" 1
end
is "the files stay for the next porter" "$(ls "$directory" | wc -l)" 4

# ---- the next start -----------------------------------------------------------
before=$(sha256sum "$keys"/authority/*)
ready issuer
is "the trust domain stays" "$domain" "$first_domain"
is "and so does every key" "$(sha256sum "$keys"/authority/*)" "$before"

# ---- a compromised porter -----------------------------------------------------
refused_sign() {	# refused_sign NAME ERROR INSTANCE [INDEX]
	say sign "$3" "${4-0}"
	hear "signed${tab}$3*"
	is "$1" "${field[3]}" "$2"
}
mkdir "$top/parts"
say out "$top/parts"
refused_sign "nothing for an instance that was not admitted" EACCES 1
say admit 1 max $id "spiffe://$domain/agent/a" - tls,x509-svid,60 "crm,jwt-svid,60,$crm"
say sign 1 0
hear "signed${tab}1*"
is "what was admitted is signed, sealed, and can't be written to" \
	"${field[3]} ${field[7]} ${field[8]}" "0 f 0"
is "serial and certificate agree" "$(number <"$top/parts/part0")" "serial=${field[6]}"
refused_sign "nor a credential that was not" EACCES 1 2
refused_sign "nor one far outside" EACCES 1 4294967295
say dismiss 1
refused_sign "nor after DISMISS" EACCES 1
say admit 2 max $id spiffe://other.example.com/agent/a - tls,x509-svid,60
refused_sign "a foreign trust domain" EPERM 2
say admit 3 max $id "spiffe://$domain/agent/../node" - tls,x509-svid,60
refused_sign "a name outside the alphabet" EPERM 3
say admit 4 max $id "spiffe://$domain/node" - tls,x509-svid,60
refused_sign "an ID that is no agent's" EPERM 4
say admit 5 1 $id "spiffe://$domain/agent/a" - tls,x509-svid,60
refused_sign "a deadline that has passed" EKEYEXPIRED 5
like "refusals are explained" "$(cat "$top/stderr")" \
	"agent 2 refused: its SPIFFE ID is not one of spiffe://$domain/agent/"
say admit 6 max $id "spiffe://$domain/agent/a" - tls,x509-svid,60
granted=0
for _ in $(seq 20); do say sign 6 0; done
for _ in $(seq 20); do
	hear "signed${tab}6*"
	[ "${field[3]}" != 0 ] || granted=$((granted + 1))
	last=${field[3]}
done
ok "a burst of 16 and no more ($granted)" [ "$granted" -ge 16 -a "$granted" -le 18 ]
is "then: later" "$last" EAGAIN
say raw peer 0100
hear "exited${tab}issuer*"
is "half a packet ends the issuer" "${field[2]}" 1
end

ends() {	# ends NAME both|issuer|porter PROCESS STATUS COMMAND…
	local name=$1 process=$3 status=$4
	ready "$2"
	say "${@:5}"
	hear "exited${tab}$process*"
	is "$name" "${field[2]}" "$status"
	end
}
ends "issuer: a packet of nonsense" issuer issuer 1 raw issuer 112233445566778899
ends "issuer: a text without its end" issuer issuer 1 unended
ends "issuer: a message that is the issuer's to send" issuer issuer 1 signed 1
ends "issuer: the porter is gone" issuer issuer 1 close peer
ends "porter: a packet of nonsense" porter porter 1 raw porter 112233445566778899
ends "porter: half a packet from the issuer" porter porter 1 raw peer 0100
ends "porter: an answer that was not asked for" porter porter 1 signed 1
ends "porter: the issuer is gone" porter porter 1 close peer
ends "porter: the warden is gone" porter porter 0 close porter
ready porter
directory unsealed
say serve 1 "$directory" tls,x509-svid,60
hear "asked${tab}1*"
say signed 1
hear "minted${tab}1*"
is "porter: bytes that could still change" "${field[3]}" EBADMSG
is "porter: are not written" "$(ls -A "$directory")" ""
end
ready porter
directory twice
say serve 1 "$directory" tls,x509-svid,60 other,x509-svid,60
hear "asked${tab}1*"
hear "asked${tab}1*"
say signed 1
hear "minted${tab}1*"
say signed 1
hear "exited${tab}porter*"
is "porter: a second answer, while another is awaited" "${field[2]}" 1
end

# ---- broken keys --------------------------------------------------------------
good=$keys
broken() {	# broken NAME ERROR PART COMMAND: the set after COMMAND is refused
	rm -rf "$top/broken"
	cp -a "$good" "$top/broken"
	keys=$top/broken
	(cd "$keys/authority" && eval "$4")
	local before
	before=$(cd "$keys" && find . -printf '%p %m %U %s %T@\n' | sort)
	begin issuer "${5-}"
	hear "*${tab}issuer*"
	is "keys: $1" "${field[0]} ${field[2]}" "refused $2"
	like "keys: $1: why" "$line" "$3"
	end
	is "keys: $1: left as they are" \
		"$(cd "$keys" && find . -printf '%p %m %U %s %T@\n' | sort)" "$before"
}
broken "a key that others may read" EPERM "ca.key: mode 0644, not 0600" \
	'chmod 644 ca.key'
broken "a key that is another's" EPERM "token.key: owned by uid 0" 'chown 0 token.key'
broken "half a set" ENOENT token.key 'rm token.key'
broken "a link" ELOOP ca.key 'mv ca.key x && ln -s x ca.key'
broken "a second name" EPERM "has 2 names" 'ln ca.key x'
broken "a pipe" EINVAL "not a file" 'rm ca.key && mkfifo -m 600 ca.key && chown 2000000001 ca.key'
broken "a key cut short" EINVAL ca.key 'truncate -s 200 ca.key'
broken "an empty certificate" EINVAL ca.pem 'truncate -s 0 ca.pem'
broken "too much" EFBIG ca.pem 'truncate -s 1M ca.pem'
broken "a certificate for another key" EINVAL "is not the CA key" 'cat token.key >ca.key'
broken "a flipped signature" EINVAL "wrong signature" \
	"$python -c 'import base64 as b; l = open(\"ca.pem\").read().split(\"\n\"); d = bytearray(b.b64decode(\"\".join(l[1:-2]))); d[-1] ^= 1; t = b.b64encode(d).decode(); open(\"ca.pem\", \"w\").write(\"\n\".join([l[0], *[t[i:i + 64] for i in range(0, len(t), 64)], *l[-2:]]))'"
# remade HOW: the CA's certificate, signed anew by its own key, with something wrong.
cat >"$top/remake.py" <<'PYTHON'
import datetime, sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
how, day = sys.argv[1], datetime.timedelta(days=1)
old = x509.load_pem_x509_certificate(open("ca.pem", "rb").read())
key = serialization.load_pem_private_key(open("ca.key", "rb").read(), None)
now = datetime.datetime.now(datetime.timezone.utc)
begin, end = {"expired": (now - 2 * day, now - day), "early": (now + day, now + 2 * day)}.get(
    how, (now - day, now + day))
builder = (x509.CertificateBuilder().subject_name(old.subject).issuer_name(old.issuer)
           .public_key(old.public_key()).serial_number(old.serial_number)
           .not_valid_before(begin).not_valid_after(end))
for extension in old.extensions:
    value = extension.value
    if isinstance(value, x509.BasicConstraints):
        value = {"leaf": x509.BasicConstraints(False, None),
                 "path": x509.BasicConstraints(True, 7)}.get(how, value)
    if isinstance(value, x509.KeyUsage) and how == "usage":
        value = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    builder = builder.add_extension(value, extension.critical)
with open("ca.pem", "wb") as file:
    file.write(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
PYTHON
remade() { echo "$python $top/remake.py $1"; }
broken "an expired certificate" EKEYEXPIRED "has expired" "$(remade expired)"
broken "one of tomorrow" EKEYREJECTED "not valid yet" "$(remade early)"
broken "one of an agent" EINVAL "is not a CA's" "$(remade leaf)"
broken "one that may make others" EINVAL "is not a CA's" "$(remade path)"
broken "one of more uses" EINVAL "other key usages" "$(remade usage)"
cp -a "$good" "$top/remade"
keys=$top/remade
(cd "$keys/authority" && eval "$(remade well)")
ready issuer
is "keys: signed anew with nothing wrong: taken" "$domain" "$first_domain"
end
broken "a directory that others may enter" EPERM "authority: mode 0755" 'chmod 755 .'
broken "a key directory that others may enter" EPERM "key directory: mode 0750" \
	'chmod 750 ..'
broken "of another trust domain" EINVAL "not of other.example.com" : other.example.com

# ---- a first start that was cut short -----------------------------------------
keys short
mkdir -m 700 "$keys/authority.new"
printf x >"$keys/authority.new/ca.key"
ready issuer node.example.com
is "a trust domain that was given" "$domain" node.example.com
end
is "what was unfinished is gone" "$(ls "$keys")" authority
keys bad
begin issuer 'Node/Example'
hear "*${tab}issuer*"
is "a trust domain that is none" "${field[0]} ${field[2]}" "refused EINVAL"
is "makes nothing" "$(ls -A "$keys")" ""
end
keys long
long=$(printf 'a%.0s' $(seq 255))
ready both "$long"
is "the longest trust domain" "$domain" "$long"
directory longest
say auto on
say admit 1 max $id "spiffe://$domain/agent/$(printf 'a%.0s' $(seq 63))" \
	"$(printf '"%.0s' $(seq 127))" tls,x509-svid,60 \
	"crm,jwt-svid,60,$(printf '"%.0s' $(seq 255))"
say serve 1 "$directory" tls,x509-svid,60 "crm,jwt-svid,60,x"
hear "published${tab}1${tab}0*"
is "and everything as long as it may be: certificate" "${field[3]}" 0
hear "published${tab}1${tab}1*"
is "and everything as long as it may be: token" "${field[3]}" 0
runs "the certificate holds" 0 openssl verify -x509_strict \
	-CAfile "$directory/tls.bundle" "$directory/tls"
runs "the token's claims are JSON" 0 $python -c \
	'import jwt, sys; c = jwt.decode(open(sys.argv[1]).read(), options={"verify_signature": False}); assert len(c["aud"]) == 255 and len(c["ambit_task"]) == 127' \
	"$directory/crm"
end
finish
