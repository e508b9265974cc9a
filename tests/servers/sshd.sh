#!/bin/sh
# sshd.sh FOLDER PORT: OpenSSH's server on 127.0.0.1:PORT, alone with what is in FOLDER; becomes the server (its pid is this script's).
#   HOST_KEYS    types of its host keys, "ed25519" unless given; FOLDER/host_<type>
#   USER_KEYS    types of client keys that it lets in, "ed25519" unless given; FOLDER/user_<type>; "encrypted" has the passphrase "open sesame"
#   PASSWORD     of the calling user, only as root: a shadow file that nobody but this server sees
#   SSHD_CONFIG  more lines for its configuration
# The user is the calling one. Needs openssh-server.
set -eu

mkdir -p "$1"
folder=$(cd "$1" && pwd)
port=$2
chmod 700 "$folder"

make_key() {
    algorithm=$2
    phrase=
    if [ "$algorithm" = encrypted ]; then algorithm=ed25519 phrase='open sesame'; fi
    [ -f "$1" ] || ssh-keygen -q -t "$algorithm" -N "$phrase" -C "$(basename "$1")" -f "$1"
}

: >"$folder/authorized_keys"
for type in ${USER_KEYS-ed25519}; do
    make_key "$folder/user_$type" "$type"
    cat "$folder/user_$type.pub" >>"$folder/authorized_keys"
done

{
    echo "Port $port"
    echo "ListenAddress 127.0.0.1"
    echo "PidFile none"
    for type in ${HOST_KEYS-ed25519}; do
        make_key "$folder/host_$type" "$type"
        echo "HostKey $folder/host_$type"
    done
    echo "AuthorizedKeysFile $folder/authorized_keys"
    echo "StrictModes no"
    echo "UsePAM no"
    echo "UseDNS no"
    echo "PermitRootLogin yes"
    echo "PasswordAuthentication $([ -n "${PASSWORD-}" ] && echo yes || echo no)"
    echo "KbdInteractiveAuthentication no"
    echo "AllowUsers $(id -un)"
    echo "MaxStartups 100"
    echo "PrintMotd no"
    echo "LogLevel VERBOSE"
    case "${SSHD_CONFIG-}" in
    *Subsystem*) ;;
    *) echo "Subsystem sftp internal-sftp" ;;
    esac
    printf '%s\n' "${SSHD_CONFIG-}"
} >"$folder/sshd_config"

server=/usr/sbin/sshd
[ "$(id -u)" -ne 0 ] || mkdir -p -m 755 /run/sshd
if [ -n "${PASSWORD-}" ]; then
    hash=$(openssl passwd -6 "$PASSWORD")
    (umask 077 && sed "s|^$(id -un):[^:]*:|$(id -un):$hash:|" /etc/shadow >"$folder/shadow")
    unset PASSWORD
    exec unshare --mount --propagation private sh -c 'mount --bind "$1/shadow" /etc/shadow && exec setpriv --pdeathsig TERM "$2" -D -e -f "$1/sshd_config"' sh "$folder" "$server"
fi
# whoever started it may be killed
exec setpriv --pdeathsig TERM "$server" -D -e -f "$folder/sshd_config"
