#!/bin/bash
# redis.sh DIR PORT: redis-server on 127.0.0.1:PORT and DIR/redis.sock, which saves nothing by itself.
#   REDIS_PASSWORD  of its default user
#   REDIS_AOF=yes   with an append-only file in DIR/appendonlydir
#   REDIS_RDB       a snapshot to begin with; copied
#   REDIS_OPTIONS   more options, "--name value --name value"
. "$(dirname "$0")/common.sh"
needs redis-server:redis-server redis-cli:redis-tools
setup "$@"

chmod 700 "$dir"
[ -z "${REDIS_RDB:-}" ] || cp "$REDIS_RDB" "$dir/dump.rdb"
{
    printf '%s\n' "bind 127.0.0.1" "port $port" "unixsocket $dir/redis.sock" "unixsocketperm 700" "dir $dir" "daemonize no" 'save ""' \
        "appendonly ${REDIS_AOF:-no}" "repl-diskless-sync-delay 0" "logfile $dir/log.txt"
    [ -z "${REDIS_PASSWORD:-}" ] || printf 'requirepass "%s"\n' "$REDIS_PASSWORD"
} >"$dir/redis.conf"
[ -z "${REDIS_PASSWORD:-}" ] || export REDISCLI_AUTH="$REDIS_PASSWORD"
# shellcheck disable=SC2086  # a list of words
redis-server "$dir/redis.conf" ${REDIS_OPTIONS:-} &
server=$!
speaks() {
    kill -0 $server || { cat "$dir/log.txt"; exit 1; }
    [ "$(redis-cli -p "$port" ping)" = PONG ]
}
until_true 200 speaks
ready REDIS_PORT="$port" REDIS_SOCKET="$dir/redis.sock" REDIS_PID="$server"
