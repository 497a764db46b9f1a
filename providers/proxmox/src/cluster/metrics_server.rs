//! Metric servers: where the cluster sends its measurements.

use stead_sdk::value::Sensitive;
use stead_sdk::{Form, Resource};

/// A server that the cluster sends its measurements to.
#[derive(Clone, Debug, Resource, Form)]
#[resource(
    name = "proxmox_metrics_server",
    alias = "proxmox_virtual_environment_metrics_server"
)]
pub(crate) struct MetricsServer {
    /// The server's name.
    #[attr(computed)]
    id: String,
    /// Keep the server, and send nothing.
    #[attr(optional, computed, default = false)]
    disable: bool,
    /// Graphite: where the measurements go in its tree.
    #[attr(optional)]
    #[form(name = "path")]
    graphite_path: Option<String>,
    /// Graphite: the protocol.
    #[attr(optional, one_of("udp", "tcp"))]
    #[form(name = "proto")]
    graphite_proto: Option<String>,
    /// InfluxDB: what comes before `/api/v2`.
    #[attr(optional)]
    #[form(name = "api-path-prefix")]
    influx_api_path_prefix: Option<String>,
    /// InfluxDB: the bucket, or the database of version 1.
    #[attr(optional)]
    #[form(name = "bucket")]
    influx_bucket: Option<String>,
    /// InfluxDB: the protocol.
    #[attr(optional, one_of("udp", "http", "https"))]
    #[form(name = "influxdbproto")]
    influx_db_proto: Option<String>,
    /// InfluxDB: how many bytes one request may have.
    #[attr(optional)]
    #[form(name = "max-body-size")]
    influx_max_body_size: Option<i64>,
    /// InfluxDB: the organization.
    #[attr(optional)]
    #[form(name = "organization")]
    influx_organization: Option<String>,
    /// InfluxDB: the token, or `USER:PASSWORD` of version 1. The server does not tell it again.
    #[attr(optional, sensitive, conflicts("influx_token_wo"))]
    #[form(name = "token", sent)]
    influx_token: Option<Sensitive<String>>,
    /// The token, kept out of the state.
    #[attr(optional, sensitive, write_only)]
    #[form(name = "token")]
    influx_token_wo: Option<Sensitive<String>>,
    /// Another number sends `influx_token_wo` anew.
    #[attr(optional, requires("influx_token_wo"))]
    #[form(skip)]
    influx_token_wo_version: Option<i64>,
    /// InfluxDB: check the certificate.
    #[attr(optional)]
    #[form(name = "verify-certificate", implied = "1")]
    influx_verify: Option<bool>,
    /// The size of the packets with `udp`.
    #[attr(optional, range(512..=65536))]
    #[form(implied = "1500")]
    mtu: Option<i64>,
    /// The server's name.
    #[attr(required, replace)]
    #[form(path)]
    name: String,
    /// OpenTelemetry: how requests are compressed.
    #[attr(optional, one_of("none", "gzip"))]
    #[form(name = "otel-compression", implied = "gzip")]
    opentelemetry_compression: Option<String>,
    /// OpenTelemetry: more headers, as JSON in Base64.
    #[attr(optional, sensitive, length(..=1024))]
    #[form(name = "otel-headers")]
    opentelemetry_headers: Option<Sensitive<String>>,
    /// OpenTelemetry: how many bytes one request may have.
    #[attr(optional, range(1024..))]
    #[form(name = "otel-max-body-size", implied = "10000000")]
    opentelemetry_max_body_size: Option<i64>,
    /// OpenTelemetry: the path of the URL.
    #[attr(optional)]
    #[form(name = "otel-path", implied = "/v1/metrics")]
    opentelemetry_path: Option<String>,
    /// OpenTelemetry: the protocol.
    #[attr(optional, one_of("http", "https"))]
    #[form(name = "otel-protocol", implied = "https")]
    opentelemetry_proto: Option<String>,
    /// OpenTelemetry: more attributes of the resource, as JSON in Base64.
    #[attr(optional, length(..=1024))]
    #[form(name = "otel-resource-attributes")]
    opentelemetry_resource_attributes: Option<String>,
    /// OpenTelemetry: how many seconds a request may take.
    #[attr(optional, range(1..=10))]
    #[form(name = "otel-timeout", implied = "5")]
    opentelemetry_timeout: Option<i64>,
    /// OpenTelemetry: check the certificate.
    #[attr(optional)]
    #[form(name = "otel-verify-ssl", implied = "1")]
    opentelemetry_verify_ssl: Option<bool>,
    /// The port.
    #[attr(required, range(1..=65536))]
    #[form(always)]
    port: i64,
    /// The host's name or address.
    #[attr(required)]
    #[form(always)]
    server: String,
    /// How many seconds a connection with `tcp` may take.
    #[attr(optional)]
    #[form(implied = "1")]
    timeout: Option<i64>,
    /// What kind of server it is.
    #[attr(required, replace, one_of("graphite", "influxdb", "opentelemetry"))]
    #[form(create)]
    r#type: String,
}
