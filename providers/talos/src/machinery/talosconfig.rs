//! The client configuration of talosctl (`talosconfig`).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::secrets::{CertificateAndKey, Secret};
use super::value::{Fields, Value};
use super::yaml::{Quoting, Style, emit, parse_documents, to_value};

/// One context: where a cluster is and how to prove who one is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TalosContext {
    /// Addresses of the Talos API.
    pub endpoints: Vec<String>,
    /// Nodes that requests are for.
    pub nodes: Vec<String>,
    /// PEM of the CA of the Talos API.
    pub ca: String,
    /// Client certificate and key.
    pub client: CertificateAndKey,
}

/// Why a talosconfig could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("talosconfig: {0}")]
pub struct TalosconfigError(String);

/// Writes a talosconfig with one context, which is the current one.
pub fn render_talosconfig(name: &str, context: &TalosContext) -> Secret {
    let encoded = |pem: &str| Value::Str(STANDARD.encode(pem));
    // Absent lists are left out, except that endpoints are always written.
    let nodes = if context.nodes.is_empty() {
        Value::Null
    } else {
        Value::strings(context.nodes.iter().cloned())
    };
    let fields = Value::map([
        (
            "endpoints",
            Value::strings(context.endpoints.iter().cloned()),
        ),
        ("nodes", nodes),
        ("ca", encoded(&context.ca)),
        ("crt", encoded(&context.client.cert)),
        ("key", encoded(context.client.key.expose())),
    ]);
    let contexts = Value::Map(Fields::from_iter([(name.to_owned(), fields)]));
    let root = Value::map([("context", name.into()), ("contexts", contexts)]);
    Secret::new(emit(&root, Style::talos(Quoting::Double)))
}

/// Reads the named context of a talosconfig, or its current one.
pub fn parse_talosconfig(text: &str, name: Option<&str>) -> Result<TalosContext, TalosconfigError> {
    let bad = |what: String| TalosconfigError(what);
    let documents = parse_documents(text).map_err(|e| bad(e.to_string()))?;
    let document = documents
        .first()
        .ok_or_else(|| bad("it is empty".to_owned()))?;
    let root = to_value(document).map_err(|e| bad(e.to_string()))?;
    let name = name
        .or_else(|| root.text_at(&["context"]))
        .ok_or_else(|| bad("no current context".to_owned()))?;
    let context = root
        .at(&["contexts", name])
        .ok_or_else(|| bad(format!("context {name:?} is not defined")))?;
    let list = |key: &str| -> Vec<String> {
        let items = context
            .at(&[key])
            .and_then(Value::as_list)
            .unwrap_or_default();
        items
            .iter()
            .filter_map(|i| i.as_str().map(str::to_owned))
            .collect()
    };
    let pem = |key: &str| -> Result<String, TalosconfigError> {
        let encoded = context
            .text_at(&[key])
            .ok_or_else(|| bad(format!("context {name:?} has no {key}")))?;
        let decoded = STANDARD
            .decode(encoded)
            .ok()
            .and_then(|b| String::from_utf8(b).ok());
        decoded.ok_or_else(|| {
            bad(format!(
                "{key} of context {name:?} is not base64 of a PEM text"
            ))
        })
    };
    Ok(TalosContext {
        endpoints: list("endpoints"),
        nodes: list("nodes"),
        ca: pem("ca")?,
        client: CertificateAndKey {
            cert: pem("crt")?,
            key: Secret::new(pem("key")?),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        let context = TalosContext {
            endpoints: vec!["10.0.0.1".to_owned()],
            nodes: vec!["10.0.0.1".to_owned(), "fd00::2".to_owned()],
            ca: "CA\n".to_owned(),
            client: CertificateAndKey {
                cert: "CERT\n".to_owned(),
                key: Secret::new("KEY\n"),
            },
        };
        let text = render_talosconfig("lab", &context);
        assert!(text.expose().starts_with(
            "context: lab\ncontexts:\n    lab:\n        endpoints:\n            - 10.0.0.1\n"
        ));
        assert_eq!(parse_talosconfig(text.expose(), None), Ok(context));
        assert!(parse_talosconfig(text.expose(), Some("other")).is_err());
    }
}
