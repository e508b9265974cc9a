#!/bin/bash
# nginx.sh DIR PORT: the folder DIR/data by HTTP, to be read only: /json/ and /html/ show it as nginx does, /private/ asks
# the user `keeper` for a password, /elsewhere/ redirects to /json/.
. "$(dirname "$0")/common.sh"
needs nginx:nginx-light openssl:openssl curl:curl
setup "$@"

mkdir -p "$dir/data" "$dir/log" "$dir/tmp"
printf 'keeper:%s\n' "$(openssl passwd -apr1 secret)" >"$dir/users"
cat >"$dir/nginx.conf" <<CONF
$([ "$(id -u)" != 0 ] || echo 'user root;')
daemon off;
worker_processes 1;
pid $dir/pid;
error_log $dir/log/error.txt;
events { worker_connections 64; }
http {
  access_log off;
  default_type application/octet-stream;
  client_body_temp_path $dir/tmp/body; proxy_temp_path $dir/tmp/proxy; fastcgi_temp_path $dir/tmp/fastcgi;
  uwsgi_temp_path $dir/tmp/uwsgi; scgi_temp_path $dir/tmp/scgi;
  keepalive_requests 100000;
  server {
    listen 127.0.0.1:$port;
    autoindex on;
    location /json/ { alias $dir/data/; autoindex_format json; }
    location /html/ { alias $dir/data/; }
    location /private/ { alias $dir/data/; autoindex_format json; auth_basic vault; auth_basic_user_file $dir/users; }
    location /elsewhere/ { rewrite ^/elsewhere/(.*)\$ /json/\$1 redirect; }
  }
}
CONF
nginx -c "$dir/nginx.conf" -p "$dir" &
until_true 100 answers "http://127.0.0.1:$port/json/"
ready HTTP_URL="http://127.0.0.1:$port" HTTP_DATA="$dir/data" HTTP_USER=keeper HTTP_PASSWORD=secret
