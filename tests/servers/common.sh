# Read by the start scripts of test servers. `SCRIPT --missing` prints what is not installed. `SCRIPT DIR PORT` starts the
# server below DIR, prints NAME=value lines and `ready` to standard output, everything else to DIR/out.txt, and lives until
# its standard input closes: then it ends with everything that it started. It has to lead a process group of its own.
set -eu

# needs PROGRAM:PACKAGE...
needs() {
    missing=
    for need; do command -v "${need%%:*}" >/dev/null || missing="$missing ${need#*:}"; done
    if [ "${asked:-}" = --missing ]; then echo $missing; exit 0; fi
    if [ -n "$missing" ]; then echo "not installed:$missing" >&2; exit 1; fi
}
asked=${1:-}
PATH=$PATH:/usr/sbin:/sbin

setup() {
    mkdir -p "$1"
    dir=$(cd "$1" && pwd) port=$2
    exec 4<&0 5>&1 </dev/null >"$dir/out.txt" 2>&1
}

# until_true TENTHS COMMAND...
until_true() {
    tries=$1; shift
    while ! "$@"; do
        tries=$((tries - 1))
        if [ "$tries" -le 0 ]; then echo "did not come: $*"; exit 1; fi
        sleep 0.1
    done
}

# whether somebody speaks HTTP there, whatever he says
answers() { curl -sk -o /dev/null --max-time 5 "$1"; }

ready() {
    for line; do echo "$line" >&5; done
    echo ready >&5
    exec 5>&-
    cat <&4 >/dev/null || true
    kill -KILL 0
}
