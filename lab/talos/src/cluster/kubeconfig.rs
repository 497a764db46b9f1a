//! The administrator's kubeconfig, packed as the machine API sends it.

use std::io::{self, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use flate2::write::GzEncoder;

use crate::config::{Config, Pem};
use crate::pki::{self, SigningCa};
use crate::yaml::{Out, emit};

/// Lifetime of the client certificate unless the configuration says otherwise.
const LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);

/// A gzipped tar with one file `kubeconfig`. Its end-of-archive blocks are missing, as on a real node.
pub(crate) fn admin_archive(config: &Config, ca: &Pem) -> Result<Vec<u8>, String> {
    let text = admin(config, ca).map_err(|e| e.to_string())?;
    pack(text.as_bytes()).map_err(|e| e.to_string())
}

fn admin(config: &Config, ca: &Pem) -> Result<String, pki::Error> {
    let signer = SigningCa::open(ca)?;
    let lifetime = config
        .text_at("cluster.adminKubeconfig.certLifetime")
        .and_then(go_duration)
        .unwrap_or(LIFETIME);
    let (certificate, key) = signer.client("admin", &["system:masters".to_owned()], lifetime)?;
    let encode = |text: &str| Out::Str(base64::engine::general_purpose::STANDARD.encode(text));
    let text = |text: &str| Out::Str(text.to_owned());
    let map = |entries: Vec<(&str, Out)>| {
        Out::Mapping(
            entries
                .into_iter()
                .map(|(k, v)| (k.to_owned(), v))
                .collect(),
        )
    };
    let name = config.cluster_name();
    let user = format!("admin@{name}");
    let cluster = map(vec![
        ("certificate-authority-data", encode(&ca.certificate)),
        ("server", text(&config.endpoint().unwrap_or_default())),
    ]);
    let context = map(vec![
        ("cluster", text(&name)),
        ("namespace", text("default")),
        ("user", text(&user)),
    ]);
    let credentials = map(vec![
        ("client-certificate-data", encode(&certificate)),
        ("client-key-data", encode(&key)),
    ]);
    let named =
        |key, value, name: &str| Out::Sequence(vec![map(vec![(key, value), ("name", text(name))])]);
    Ok(emit(&map(vec![
        ("apiVersion", text("v1")),
        ("clusters", named("cluster", cluster, &name)),
        ("contexts", named("context", context, &user)),
        ("current-context", text(&user)),
        ("kind", text("Config")),
        (
            "users",
            Out::Sequence(vec![map(vec![
                ("name", text(&user)),
                ("user", credentials),
            ])]),
        ),
    ])))
}

fn pack(contents: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let header = crate::tar::header("kubeconfig", 0o600, contents.len(), now, b'0', "");
    encoder.write_all(&header)?;
    encoder.write_all(contents)?;
    let padding = contents.len().next_multiple_of(512) - contents.len();
    encoder.write_all(&vec![0; padding])?;
    encoder.finish()
}

/// A duration such as `8h0m0s`.
fn go_duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut number = String::new();
    for c in text.chars() {
        let unit = match c {
            '0'..='9' => {
                number.push(c);
                continue;
            }
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        let part = number.parse::<u64>().ok()?.checked_mul(unit)?;
        total = total.checked_add(Duration::from_secs(part))?;
        number.clear();
    }
    number.is_empty().then_some(total)
}
