#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Programs that nobody here wrote work inside, unchanged.
cd "$(dirname "$0")/../.." || exit 1
. tests/lib/tap.sh
. tests/lib/node.sh
. tests/lib/net.sh
node_begin
net_begin

WORK=$(mktemp -d /srv/ambit-test.XXXXXX) || bail_out "no directory"
at_exit 'rm -rf "$WORK"'
mkdir -m 700 "$WORK/out" "$WORK/pem"
mkdir "$TAP_DIRECTORY/web"
chmod 755 "$TAP_DIRECTORY" "$TAP_DIRECTORY/web"

# A web server with TLS, and git over HTTPS (dumb) and over git://.
certificate "$TAP_DIRECTORY/web" www.example.com "$NET4.2"
cp "$TAP_DIRECTORY/web/www.example.com.pem" "$WORK/pem/"
sed -e "s/198\.18\.18\./$NET4./" -e 's/crm.example.com/www.example.com/' \
	-e '/authority/d; /ssl_verify_client/d; /proxy_set_header/d' \
	-e "s|proxy_pass .*|root $TAP_DIRECTORY/web/site;|" \
	tests/demo/nginx.conf >"$TAP_DIRECTORY/web/nginx.conf"
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
{
	git init -q -b main "$TAP_DIRECTORY/repo" &&
		echo hello >"$TAP_DIRECTORY/repo/file" &&
		git -C "$TAP_DIRECTORY/repo" add file &&
		git -C "$TAP_DIRECTORY/repo" -c user.name=t -c user.email=t@example.com \
			commit -qm first &&
		git clone -q --bare "$TAP_DIRECTORY/repo" "$TAP_DIRECTORY/web/site/repo.git" &&
		git -C "$TAP_DIRECTORY/web/site/repo.git" update-server-info
} || bail_out "no repository"
chmod -R a+rX "$TAP_DIRECTORY/web/site"
echo content >"$TAP_DIRECTORY/web/site/page"
net_nginx "$TAP_DIRECTORY/web"

profile plain
profile online 'limits: {processes: 128}' "files: {read: [$WORK/pem], write: [$WORK/out]}
run: {directory: $WORK/out}
egress:
  - {to: $NET4.2, ports: [443], tool: web}"
profile builder "files: {write: [$WORK/out], execute: [$WORK/out]}
run: {directory: $WORK/out}"

# works NAME PROFILE OUTPUT COMMAND…
works() {
	works_name=$1 works_profile=$2 works_wanted=$3
	shift 3
	run ambit run --quiet --profile "$works_profile" -- "$@"
	is "$works_name" "$STATUS $OUT $(printf %s "$ERR" | head -c 1000)" "0 $works_wanted "
}

works "bash: pipes, substitution, here-documents, jobs" plain "3 here done" bash -c '
	n=$(printf "1\n2\n3\n" | wc -l)
	h=$(cat <<<here)
	sleep 0 & wait $!
	diff <(echo a) <(echo a) && echo $n $h done'
works "python3: threads, subprocesses, multiprocessing" plain "36 sub 285" python3 -c '
import concurrent.futures, multiprocessing, subprocess
def square(n): return n * n
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    a = sum(pool.map(lambda n: n, range(9)))
b = subprocess.run(["echo", "sub"], capture_output=True, text=True).stdout.strip()
with multiprocessing.Pool(2) as pool:
    c = sum(pool.map(square, range(10)))
print(a, b, c)'
works "python3: asyncio, sqlite, temporary files, ssl" plain "1 2 True" python3 -c '
import asyncio, sqlite3, ssl, tempfile
async def main():
    child = await asyncio.create_subprocess_exec("true")
    return await child.wait() + 1
with tempfile.NamedTemporaryFile() as file:
    base = sqlite3.connect(file.name)
    base.execute("create table t (n)"); base.execute("insert into t values (2)")
    base.commit()
    print(asyncio.run(main()), *base.execute("select n from t").fetchone(),
          bool(ssl.create_default_context()))'
works "node: worker threads, child processes, timers" plain "49 child timer" node -e '
const { Worker } = require("worker_threads");
const { execFileSync } = require("child_process");
const w = new Worker("require(\"worker_threads\").parentPort.postMessage(7 * 7)", { eval: true });
w.on("message", n => setTimeout(() =>
	console.log(n, execFileSync("echo", ["child"]).toString().trim(), "timer"), 1));'
works "perl" plain "6" perl -e 'use List::Util "sum"; print sum(1, 2, 3), "\n"'
works "openssl" plain "OK" sh -c 'openssl ecparam -name prime256v1 -genkey -noout -out $HOME/k &&
	echo x | openssl dgst -sha256 -sign $HOME/k -out $HOME/s &&
	openssl ec -in $HOME/k -pubout -out $HOME/p 2>/dev/null &&
	echo x | openssl dgst -sha256 -verify $HOME/p -signature $HOME/s | sed "s/Verified //"'
works "tar, gzip, find, awk, sort, sed" plain "b" sh -c '
	cd && mkdir d && echo a >d/x && tar czf d.tgz d && rm -r d && tar xzf d.tgz &&
	find d -type f -exec cat {} + | sed s/a/b/ | sort | awk "{ print }"'
works "curl over TLS to an allowed server" online content \
	curl -sS --cacert "$WORK/pem/www.example.com.pem" \
	--resolve "www.example.com:443:$NET4.2" https://www.example.com/page
runs "curl to a server that is not listed" 7 ambit_run online curl -sS "https://$NET4.3/"
like "fails with a plain error" "$ERR" "connect"
works "git clone over an allowed endpoint" online hello sh -c "
	GIT_SSL_CAINFO=$WORK/pem/www.example.com.pem \
		git -c http.sslVerify=true -c http.curloptResolve=www.example.com:443:$NET4.2 \
		clone -q https://www.example.com/repo.git && cat repo/file"
is "and it belongs to the owner of the directory" \
	"$(find "$WORK/out/repo" ! -uid 0 | wc -l)" 0
printf '#include <stdio.h>\nint main(void) { puts("compiled"); return 0; }\n' >"$WORK/out/x.c"
works "gcc, and what it made runs where execute lists it" builder compiled \
	sh -c 'gcc -O2 -o x x.c && ./x'
runs "gcc works without execute, what it made does not run" 126 ambit_run plain \
	sh -c 'cd && echo "int main(void){return 0;}" >x.c && gcc -o x x.c && exec ./x'
finish
