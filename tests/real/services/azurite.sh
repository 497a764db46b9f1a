# Azure Blob Storage: Microsoft's emulator Azurite, over TLS. Needs Node.js with npm, which brings it; Python and OpenSSL.
# Exports STEAD_TEST_AZURITE, its HOST:PORT, where it answers for the account `stead` as stead.blob.core.windows.net; STEAD_TEST_AZURITE_CA, the
# authority of its certificate; STEAD_TEST_AZURITE_KEY, the account's key; STEAD_TEST_AZURITE_SAS, a shared access signature. There is one
# container, `state`.

VERSION=3.37.0

install() {
  [ -x "$CACHE/azurite-$VERSION/node_modules/.bin/azurite-blob" ] && return
  mkdir -p "$CACHE/azurite-$VERSION"
  npm install --prefix "$CACHE/azurite-$VERSION" --no-audit --no-fund --silent "azurite@$VERSION"
}

start() {
  local port host=stead.blob.core.windows.net
  port=$(free_port)
  openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=tests" -addext keyUsage=keyCertSign \
    -keyout "$DATA/ca.key" -out "$DATA/ca.pem" 2>/dev/null
  openssl req -newkey rsa:2048 -nodes -subj "/CN=$host" -keyout "$DATA/leaf.key" -out "$DATA/leaf.csr" 2>/dev/null
  openssl x509 -req -in "$DATA/leaf.csr" -CA "$DATA/ca.pem" -CAkey "$DATA/ca.key" -CAcreateserial -days 2 \
    -extfile <(printf 'subjectAltName=DNS:%s\nbasicConstraints=CA:FALSE' "$host") -out "$DATA/leaf.pem" 2>/dev/null
  STEAD_TEST_AZURITE_KEY=$(openssl rand -base64 64 | tr -d '\n')
  mkdir "$DATA/blobs"
  AZURITE_ACCOUNTS="stead:$STEAD_TEST_AZURITE_KEY" "$CACHE/azurite-$VERSION/node_modules/.bin/azurite-blob" --blobHost 127.0.0.1 --blobPort "$port" \
    --cert "$DATA/leaf.pem" --key "$DATA/leaf.key" --location "$DATA/blobs" --disableTelemetry >"$DATA/azurite.log" 2>&1 &
  server=$!
  wait_for listens "$port"
  STEAD_TEST_AZURITE_SAS=$(KEY=$STEAD_TEST_AZURITE_KEY python3 - "$port" "$DATA/ca.pem" "$host" <<'PYTHON'
# Makes the container, and prints a shared access signature for what is in it.
import base64, email.utils, hashlib, hmac, http.client, os, ssl, sys, urllib.parse

port, authority, host = sys.argv[1:]


def sign(text):
    key = base64.b64decode(os.environ["KEY"])
    return base64.b64encode(hmac.new(key, text.encode(), hashlib.sha256).digest()).decode()


date, version = email.utils.formatdate(usegmt=True), "2022-11-02"
text = f"PUT\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:{date}\nx-ms-version:{version}\n/stead/state\nrestype:container"
trust = ssl.create_default_context(cafile=authority)
trust.check_hostname = False
connection = http.client.HTTPSConnection("127.0.0.1", int(port), context=trust)
headers = {"Host": host, "x-ms-date": date, "x-ms-version": version, "Authorization": f"SharedKey stead:{sign(text)}", "Content-Length": "0"}
connection.request("PUT", "/state?restype=container", headers=headers)
answer = connection.getresponse()
if answer.status != 201:
    sys.exit(f"making the container: {answer.status} {answer.read()!r}")
fields = {"sv": version, "ss": "b", "srt": "sco", "sp": "rwdlac", "se": "2099-01-01T00:00:00Z"}
fields["sig"] = sign(f"stead\n{fields['sp']}\n{fields['ss']}\n{fields['srt']}\n\n{fields['se']}\n\n\n{version}\n\n")
print(urllib.parse.urlencode(fields))
PYTHON
  )
  export STEAD_TEST_AZURITE="127.0.0.1:$port" STEAD_TEST_AZURITE_CA="$DATA/ca.pem" STEAD_TEST_AZURITE_KEY STEAD_TEST_AZURITE_SAS
}

stop() { [ -z "${server:-}" ] || end "$server"; }
