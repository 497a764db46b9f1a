# An S3 server: versitygw over a folder. Needs Go to build it from its module; it checks signatures and conditional puts.
# Exports STEAD_TEST_S3, its endpoint, and STEAD_TEST_S3_ACCESS_KEY, STEAD_TEST_S3_SECRET_KEY.

VERSION=v1.8.0

install() {
  [ -x "$CACHE/versitygw-$VERSION/versitygw" ] || GOBIN="$CACHE/versitygw-$VERSION" go install "github.com/versity/versitygw/cmd/versitygw@$VERSION"
}

start() {
  local port
  port=$(free_port)
  mkdir -p "$DATA/objects/state" "$DATA/sidecar"
  export STEAD_TEST_S3="http://127.0.0.1:$port" STEAD_TEST_S3_ACCESS_KEY=stead STEAD_TEST_S3_SECRET_KEY=a-secret-of-the-tests
  ROOT_ACCESS_KEY=$STEAD_TEST_S3_ACCESS_KEY ROOT_SECRET_KEY=$STEAD_TEST_S3_SECRET_KEY \
    "$CACHE/versitygw-$VERSION/versitygw" --port "127.0.0.1:$port" posix --sidecar "$DATA/sidecar" "$DATA/objects" >"$DATA/versitygw.log" 2>&1 &
  server=$!
  wait_for listens "$port"
  export STEAD_REAL_BACKEND='terraform {
  backend "s3" {
    bucket         = "state"
    key            = "race/terraform.tfstate"
    use_path_style = true
    use_lockfile   = true
  }
}'
  STEAD_REAL_VARIABLES="AWS_REGION=us-east-1
AWS_ENDPOINT_URL_S3=$STEAD_TEST_S3
AWS_ACCESS_KEY_ID=$STEAD_TEST_S3_ACCESS_KEY
AWS_SECRET_ACCESS_KEY=$STEAD_TEST_S3_SECRET_KEY"
  export STEAD_REAL_VARIABLES
}

stop() { [ -z "${server:-}" ] || end "$server"; }
