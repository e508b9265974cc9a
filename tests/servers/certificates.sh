# Read by the start scripts of servers with TLS: certificates DIR makes ca.pem, another-ca.pem, and server.pem with
# server.key for localhost and 127.0.0.1.
certificates() {
    mkdir -p "$1"
    for ca in ca another-ca; do
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj "/CN=lifeboat $ca" \
            -addext keyUsage=critical,keyCertSign,cRLSign -keyout "$1/$ca.key" -out "$1/$ca.pem"
    done
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost -keyout "$1/server.key" -out "$1/server.csr"
    printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\nbasicConstraints=CA:FALSE\n' >"$1/server.ext"
    openssl x509 -req -in "$1/server.csr" -CA "$1/ca.pem" -CAkey "$1/ca.key" -CAcreateserial -extfile "$1/server.ext" -days 30 -out "$1/server.pem"
    chmod 644 "$1"/*.key
}
