#!/bin/sh
# Installs everything that lifeboat needs on Debian 12: to build it, to run it, and (unless --build-only) to test it.
set -eu

build="g++ cmake ninja-build pkg-config ccache git ca-certificates
 libyaml-cpp-dev nlohmann-json3-dev libcli11-dev liblua5.4-dev libre2-dev libcurl4-openssl-dev libssh2-1-dev libpq-dev libhiredis-dev libssl-dev libpugixml-dev
 libarchive-dev zlib1g-dev libzstd-dev libsqlite3-dev libspdlog-dev libfmt-dev catch2 sqlite3"
run="postgresql-client-15 redis-tools openssh-client"
# the cluster that Debian makes by default is not wanted: tests make their own, throw-away ones
tests="postgresql-15 postgresql-contrib clang-14 libclang-rt-14-dev clang-tidy-16 clang-format-14 python3 python3-jsonschema python3-cryptography strace
 libxml2-utils procps util-linux iproute2 faketime ansible-core openssh-server lftp radosgw ceph-mon ceph-osd ceph-common apache2 nginx-light openssl curl zstd nodejs
 redis-server"

# npm comes with some builds of nodejs
command -v npm >/dev/null || tests="$tests npm"
packages="$build $run"
[ "${1:-}" = --build-only ] || packages="$packages $tests"

missing=
for package in $packages; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
if [ -n "$missing" ]; then
    as_root=
    if [ "$(id -u)" -ne 0 ]; then as_root=sudo; fi
    export DEBIAN_FRONTEND=noninteractive
    if ! dpkg-query -W postgresql-common >/dev/null 2>&1; then
        $as_root mkdir -p /etc/postgresql-common
        [ -e /etc/postgresql-common/createcluster.conf ] || echo 'create_main_cluster = false' | $as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
    fi
    # nor is a Redis server that runs all the time, or with the machine
    redis_is_new=
    case " $missing " in *" redis-server "*) redis_is_new=yes ;; esac
    no_start=
    if [ -n "$redis_is_new" ] && [ ! -e /usr/sbin/policy-rc.d ]; then
        no_start=/usr/sbin/policy-rc.d
        printf '#!/bin/sh\nexit 101\n' | $as_root tee $no_start >/dev/null
        $as_root chmod 755 $no_start
        trap '$as_root rm -f $no_start' EXIT
    fi
    $as_root apt-get update -qq
    # shellcheck disable=SC2086  # a list of words
    $as_root apt-get install -y -qq --no-install-recommends $missing
    if [ -n "$redis_is_new" ]; then
        $as_root update-rc.d redis-server disable >/dev/null 2>&1 || true
        if command -v systemctl >/dev/null; then $as_root systemctl disable --quiet redis-server >/dev/null 2>&1 || true; fi
    fi
fi

# servers for tests that are no Debian packages, below the build folder; without them their tests say that they skip
servers=$(dirname "$0")/../build/servers
if [ "${1:-}" != --build-only ] && [ ! -e "$servers/node_modules/azurite" ]; then
    mkdir -p "$servers"
    cp "$(dirname "$0")"/../tests/servers/npm/package*.json "$servers"
    npm ci --silent --no-audit --no-fund --ignore-scripts --prefix "$servers" || { rm -rf "$servers"; echo "azurite could not be installed" >&2; }
fi
