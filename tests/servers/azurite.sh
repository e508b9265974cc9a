#!/bin/bash
# azurite.sh DIR PORT: Azure Blob Storage as its makers' own emulator has it, with one container, over TLS with a CA of its
# own. It is installed below build/servers by scripts/install-deps.sh.
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/certificates.sh"
main=$(dirname "$0")/../../build/servers/node_modules/azurite/dist/src/blob/main.js
needs node:nodejs openssl:openssl curl:curl python3:python3 $([ -e "$main" ] || echo azurite-of-npm:azurite-of-npm)
main=$(realpath "$main")
setup "$@"

certificates "$dir/tls"
account=lifeboattest
key=$(printf 'a key that only this test knows, of sixty-four bytes, no less! +' | base64 -w0)
cd "$dir"
AZURITE_ACCOUNTS="$account:$key" node "$main" --blobHost 127.0.0.1 --blobPort "$port" --silent \
    --disableTelemetry --disableProductStyleUrl --inMemoryPersistence --cert "$dir/tls/server.pem" --key "$dir/tls/server.key" &
until_true 200 answers "https://127.0.0.1:$port/"
python3 - "https://localhost:$port/$account/vault" "$account" "$key" "$dir/tls/ca.pem" <<'PYTHON'
import base64, email.utils, hashlib, hmac, ssl, sys, urllib.request
url, account, key, ca = sys.argv[1:]
date = email.utils.formatdate(usegmt=True)
text = f"PUT\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:{date}\nx-ms-version:2021-08-06\n/{account}/{account}/vault\nrestype:container"
signature = base64.b64encode(hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()).decode()
request = urllib.request.Request(url + "?restype=container", method="PUT", headers={
    "x-ms-date": date, "x-ms-version": "2021-08-06", "Authorization": f"SharedKey {account}:{signature}"})
urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ca))).open(request)
PYTHON
ready AZURE_ENDPOINT="https://localhost:$port/$account" AZURE_ACCOUNT=$account AZURE_KEY="$key" AZURE_CONTAINER=vault AZURE_CA="$dir/tls/ca.pem" AZURE_WRONG_CA="$dir/tls/another-ca.pem"
