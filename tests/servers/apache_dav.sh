#!/bin/bash
# apache_dav.sh DIR PORT: WebDAV over TLS with a CA of its own, user `keeper`: /basic/ and /digest/ are the same folder.
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/certificates.sh"
needs apache2:apache2 openssl:openssl curl:curl
setup "$@"

certificates "$dir/tls"
mkdir -p "$dir/data" "$dir/lock" "$dir/log"
password='p:ss wörd'
printf 'keeper:%s\n' "$(openssl passwd -apr1 "$password")" >"$dir/basic.users"
printf 'keeper:vault:%s\n' "$(printf 'keeper:vault:%s' "$password" | md5sum | cut -d' ' -f1)" >"$dir/digest.users"
if [ "$(id -u)" = 0 ]; then
    chown -R www-data "$dir/data" "$dir/lock" "$dir/log"
    chmod 755 "$dir"
fi
{
    for module in mpm_event dav dav_fs alias authn_core authn_file authz_core authz_user auth_basic auth_digest ssl socache_shmcb; do
        echo "LoadModule ${module}_module /usr/lib/apache2/modules/mod_$module.so"
    done
    cat <<CONF
ServerRoot $dir
ServerName localhost
User www-data
Group www-data
PidFile $dir/log/pid
DefaultRuntimeDir $dir/log
Mutex file:$dir/log
Listen 127.0.0.1:$port
ErrorLog $dir/log/error.txt
StartServers 1
ServerLimit 1
ThreadsPerChild 16
MaxRequestWorkers 16
DavLockDB $dir/lock/db
DocumentRoot $dir/data
Alias /basic $dir/data
Alias /digest $dir/data
SSLEngine on
SSLCertificateFile $dir/tls/server.pem
SSLCertificateKeyFile $dir/tls/server.key
KeepAlive On
MaxKeepAliveRequests 0
LimitRequestBody 0
<Directory $dir/data>
  Dav On
  FileETag MTime Size
</Directory>
<Location /basic>
  AuthType Basic
  AuthName vault
  AuthUserFile $dir/basic.users
  Require valid-user
</Location>
<Location /digest>
  AuthType Digest
  AuthName vault
  AuthDigestProvider file
  AuthUserFile $dir/digest.users
  Require valid-user
</Location>
CONF
} >"$dir/apache.conf"
apache2 -f "$dir/apache.conf" -DFOREGROUND &
until_true 100 answers "https://127.0.0.1:$port/basic/"
ready DAV_URL="https://localhost:$port" DAV_USER=keeper DAV_PASSWORD="$password" DAV_DATA="$dir/data" DAV_CA="$dir/tls/ca.pem" DAV_WRONG_CA="$dir/tls/another-ca.pem"
