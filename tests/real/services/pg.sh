# PostgreSQL. Needs Debian's `postgresql` (any release from 12), found on the PATH or in /usr/lib/postgresql.
# Exports STEAD_TEST_PG, a connection string over TCP, and STEAD_TEST_PG_CA, the certificate that the server shows for `localhost`.

install() {
  command -v psql >/dev/null && ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 && return
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq postgresql
}

# PostgreSQL does not run as root.
as_owner() {
  if [ "$(id -u)" -eq 0 ]; then setpriv --reuid=postgres --regid=postgres --init-groups "$@"; else "$@"; fi
}

start() {
  local bin
  bin=$(dirname "$(ls /usr/lib/postgresql/*/bin/initdb 2>/dev/null | tail -1 || command -v initdb)")
  port=$(free_port)
  [ "$(id -u)" -eq 0 ] && chown postgres "$DATA"
  echo secret >"$DATA/password"
  openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE \
    -keyout "$DATA/server.key" -out "$DATA/server.crt" 2>/dev/null
  chmod 600 "$DATA/server.key"
  chmod 644 "$DATA/password"
  [ "$(id -u)" -eq 0 ] && chown postgres "$DATA/server.key" "$DATA/server.crt"
  chmod 755 "$DATA"
  (cd "$DATA" && as_owner "$bin/initdb" -D "$DATA/db" -U stead --pwfile="$DATA/password" -A scram-sha-256 >"$DATA/initdb.out")
  (cd "$DATA" && exec_owner "$bin/postgres" -D "$DATA/db" -p "$port" -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
    -c ssl=on -c ssl_cert_file="$DATA/server.crt" -c ssl_key_file="$DATA/server.key" -c fsync=off -c max_connections=300) >"$DATA/postgres.log" 2>&1 &
  server=$!
  wait_for "$bin/pg_isready" -h 127.0.0.1 -p "$port"
  export STEAD_REAL_BACKEND='terraform {
  backend "pg" {
    schema_name = "race"
  }
}'
  export STEAD_REAL_VARIABLES="PG_CONN_STR=postgres://stead:secret@localhost:$port/postgres"
  export STEAD_TEST_PG="postgres://stead:secret@localhost:$port/postgres" STEAD_TEST_PG_CA="$DATA/server.crt"
}

# So that the background job is the server itself.
exec_owner() {
  if [ "$(id -u)" -eq 0 ]; then exec setpriv --reuid=postgres --regid=postgres --init-groups "$@"; else exec "$@"; fi
}

stop() { [ -z "${server:-}" ] || end "$server"; }
