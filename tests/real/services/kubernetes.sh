# A Kubernetes API: kube-apiserver over etcd. Needs Go, which builds the server from its module (about six minutes of CPU, once), and
# Debian's `etcd-server`. No node and no controller runs: Secrets and Leases need none.
# Exports STEAD_TEST_KUBERNETES, its URL; STEAD_TEST_KUBERNETES_CA, the certificate that it shows; STEAD_TEST_KUBERNETES_TOKEN, an administrator's
# token; STEAD_TEST_KUBERNETES_CONFIG, a kubeconfig with the three.

VERSION=1.34.4

install() {
  if ! command -v etcd >/dev/null; then
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq etcd-server
  fi
  [ -x "$CACHE/kube-apiserver-v$VERSION/kube-apiserver" ] || build
}

# The server's module names those beside it as v0.0.0 and means the ones of its own release.
build() {
  local folder manifest name
  folder=$(mktemp -d)
  manifest=$(cd "$folder" && go mod download -json "k8s.io/kubernetes@v$VERSION" | sed -n 's/^\t"GoMod": "\(.*\)",$/\1/p')
  {
    printf 'module stead.test/kube-apiserver\n\ngo 1.24.0\n\nrequire k8s.io/kubernetes v%s\n\nreplace (\n' "$VERSION"
    sed -n 's/^\t\(k8s\.io\/[^ ]*\) v0\.0\.0$/\1/p' "$manifest" | sort -u | while read -r name; do
      printf '\t%s => %s v0.%s\n' "$name" "$name" "${VERSION#*.}"
    done
    printf ')\n'
  } >"$folder/go.mod"
  printf '//go:build tools\n\npackage tools\n\nimport _ "k8s.io/kubernetes/cmd/kube-apiserver"\n' >"$folder/tools.go"
  (cd "$folder" && go mod tidy && nice -n 19 go build -trimpath -ldflags '-s -w' -o "$folder/kube-apiserver" k8s.io/kubernetes/cmd/kube-apiserver)
  mkdir -p "$CACHE/kube-apiserver-v$VERSION"
  mv "$folder/kube-apiserver" "$CACHE/kube-apiserver-v$VERSION/"
  rm -rf "$folder"
}

start() {
  local port store peers token=a-token-of-the-tests
  port=$(free_port) store=$(free_port) peers=$(free_port)
  etcd --data-dir "$DATA/etcd" --listen-client-urls "http://127.0.0.1:$store" --advertise-client-urls "http://127.0.0.1:$store" \
    --listen-peer-urls "http://127.0.0.1:$peers" --initial-advertise-peer-urls "http://127.0.0.1:$peers" \
    --initial-cluster "default=http://127.0.0.1:$peers" >"$DATA/etcd.log" 2>&1 &
  etcd=$!
  wait_for listens "$store"
  openssl genrsa -out "$DATA/accounts.key" 2048 2>/dev/null
  echo "$token,tests,1,system:masters" >"$DATA/tokens.csv"
  "$CACHE/kube-apiserver-v$VERSION/kube-apiserver" --etcd-servers "http://127.0.0.1:$store" --bind-address 127.0.0.1 --advertise-address 127.0.0.1 \
    --secure-port "$port" --cert-dir "$DATA/certificates" --service-account-issuer https://tests --service-account-key-file "$DATA/accounts.key" \
    --service-account-signing-key-file "$DATA/accounts.key" --service-cluster-ip-range 10.0.0.0/24 --token-auth-file "$DATA/tokens.csv" \
    --authorization-mode RBAC --endpoint-reconciler-type none --disable-admission-plugins ServiceAccount >"$DATA/kube-apiserver.log" 2>&1 &
  server=$!
  local url="https://127.0.0.1:$port"
  wait_for curl -sf --cacert "$DATA/certificates/apiserver.crt" -H "Authorization: Bearer $token" "$url/api/v1/namespaces/default"
  cat >"$DATA/config" <<TEXT
apiVersion: v1
kind: Config
current-context: tests
clusters: [{ name: tests, cluster: { server: "$url", certificate-authority: "$DATA/certificates/apiserver.crt" } }]
users: [{ name: tests, user: { token: $token } }]
contexts: [{ name: tests, context: { cluster: tests, user: tests } }]
TEXT
  export STEAD_TEST_KUBERNETES="$url" STEAD_TEST_KUBERNETES_TOKEN=$token
  export STEAD_TEST_KUBERNETES_CA="$DATA/certificates/apiserver.crt" STEAD_TEST_KUBERNETES_CONFIG="$DATA/config"
}

stop() {
  [ -z "${server:-}" ] || end "$server"
  [ -z "${etcd:-}" ] || end "$etcd"
}
