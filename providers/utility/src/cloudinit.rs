//! `hashicorp/cloudinit` 2.x: several parts for cloud-init in one document.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::{Compression, Crc, GzBuilder};
use stead_sdk::value::{Diagnostics, Value};
use stead_sdk::{
    Block, Context, DataSource, Dialer, Error, Native, ProviderFactory, Resource, async_trait,
};

use crate::generated::{Generated, generated, invalid};

const BOUNDARY: &str = "MIMEBOUNDARY";

/// Parts for cloud-init as one multipart document.
#[derive(Clone, Debug, DataSource)]
#[data_source(name = "cloudinit_config")]
struct ConfigData {
    /// Compress it; true unless set.
    #[attr(optional, computed)]
    gzip: Option<bool>,
    /// Encode it in base64; true unless set.
    #[attr(optional, computed)]
    base64_encode: Option<bool>,
    /// What stands between the parts.
    #[attr(optional, computed)]
    boundary: Option<String>,
    /// The parts, in order.
    #[attr(block(list, min = 1))]
    part: Vec<Part>,
    /// The document.
    #[attr(computed)]
    rendered: Option<String>,
    /// A checksum of the document.
    #[attr(computed)]
    id: Option<String>,
}

/// The same, kept in the state.
#[derive(Clone, Debug, Resource)]
#[resource(name = "cloudinit_config")]
struct ConfigResource {
    #[attr(optional, computed, default = true, replace)]
    gzip: bool,
    #[attr(optional, computed, default = true, replace)]
    base64_encode: bool,
    #[attr(optional, computed, default = "MIMEBOUNDARY", replace)]
    boundary: String,
    #[attr(block(list, min = 1), replace)]
    part: Vec<Part>,
    #[attr(computed)]
    rendered: String,
    #[attr(computed)]
    id: String,
}

#[derive(Clone, Debug, Block)]
struct Part {
    /// The part's text.
    #[attr(required)]
    content: String,
    /// Its type; `text/plain` unless set.
    #[attr(optional)]
    content_type: Option<String>,
    /// A name for it.
    #[attr(optional)]
    filename: Option<String>,
    /// How cloud-init merges it with the parts before.
    #[attr(optional)]
    merge_type: Option<String>,
}

/// The document: headers in the order of their names, as Go writes them.
fn document(boundary: &str, parts: &[Part]) -> String {
    let mut out = format!(
        "Content-Type: multipart/mixed; boundary=\"{boundary}\"\nMIME-Version: 1.0\r\n\r\n"
    );
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            out.push_str("\r\n");
        }
        out.push_str(&format!("--{boundary}\r\n"));
        let filled = |text: &Option<String>| text.clone().filter(|t| !t.is_empty());
        if let Some(name) = filled(&part.filename) {
            out.push_str(&format!(
                "Content-Disposition: attachment; filename=\"{name}\"\r\n"
            ));
        }
        let kind = filled(&part.content_type).unwrap_or_else(|| "text/plain".into());
        out.push_str(&format!(
            "Content-Transfer-Encoding: 7bit\r\nContent-Type: {kind}\r\nMime-Version: 1.0\r\n"
        ));
        if let Some(merge) = filled(&part.merge_type) {
            out.push_str(&format!("X-Merge-Type: {merge}\r\n"));
        }
        out.push_str("\r\n");
        out.push_str(&part.content);
    }
    out.push_str(&format!("\r\n--{boundary}--\r\n"));
    out
}

/// The document as asked for, and its checksum.
fn render(
    gzip: bool,
    base64: bool,
    boundary: &str,
    parts: &[Part],
) -> Result<(String, String), Error> {
    let text = document(boundary, parts);
    let rendered = if gzip {
        let failed = |e: std::io::Error| Error::new("compress the document", e.to_string());
        let mut encoder = GzBuilder::new()
            .operating_system(255)
            .write(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).map_err(failed)?;
        STANDARD.encode(encoder.finish().map_err(failed)?)
    } else if base64 {
        STANDARD.encode(text)
    } else {
        text
    };
    let mut crc = Crc::new();
    crc.update(rendered.as_bytes());
    let id = crc.sum().to_string();
    Ok((rendered, id))
}

fn validate(config: &Value) -> Diagnostics {
    let flag = |name: &str| config.get(name).and_then(|v| v.as_bool());
    if flag("gzip") != Some(false)
        && flag("base64_encode") == Some(false)
        && config.get("gzip").is_none_or(|v| v.is_known())
    {
        return invalid(
            "base64_encode",
            "Expected base64_encode to be set to true when gzip is true.",
        )
        .into();
    }
    Diagnostics::new()
}

#[async_trait]
impl DataSource for ConfigData {
    type Client = ();

    fn validate(config: &Value) -> Diagnostics {
        validate(config)
    }

    async fn read(_client: &(), config: Self, _cx: &Context) -> Result<Self, Error> {
        let gzip = config.gzip.unwrap_or(true);
        let base64 = config.base64_encode.unwrap_or(true);
        let boundary = config.boundary.unwrap_or_else(|| BOUNDARY.into());
        let (rendered, id) = render(gzip, base64, &boundary, &config.part)?;
        Ok(ConfigData {
            gzip: Some(gzip),
            base64_encode: Some(base64),
            boundary: Some(boundary),
            part: config.part,
            rendered: Some(rendered),
            id: Some(id),
        })
    }
}

generated!(ConfigResource);

impl Generated for ConfigResource {
    fn validate(config: &Value) -> Diagnostics {
        validate(config)
    }

    fn generate(self) -> Result<Self, Error> {
        let (rendered, id) = render(self.gzip, self.base64_encode, &self.boundary, &self.part)?;
        Ok(ConfigResource {
            rendered,
            id,
            ..self
        })
    }
}

pub fn factory(dialer: &Dialer) -> impl ProviderFactory + use<> {
    Native::local("cloudinit")
        .resource::<ConfigResource>()
        .data_source::<ConfigData>()
        .build(dialer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_set_apart_and_their_headers_sorted() {
        let part = Part {
            content: "#cloud-config\n".into(),
            content_type: Some("text/cloud-config".into()),
            filename: Some("a.yaml".into()),
            merge_type: Some("list(append)".into()),
        };
        let plain = Part {
            content: "x".into(),
            content_type: None,
            filename: None,
            merge_type: None,
        };
        let (text, id) = render(false, false, BOUNDARY, &[part, plain]).unwrap();
        assert_eq!(
            text,
            "Content-Type: multipart/mixed; boundary=\"MIMEBOUNDARY\"\nMIME-Version: 1.0\r\n\r\n--MIMEBOUNDARY\r\nContent-Disposition: attachment; filename=\"a.yaml\"\r\nContent-Transfer-Encoding: 7bit\r\nContent-Type: text/cloud-config\r\nMime-Version: 1.0\r\nX-Merge-Type: list(append)\r\n\r\n#cloud-config\n\r\n--MIMEBOUNDARY\r\nContent-Transfer-Encoding: 7bit\r\nContent-Type: text/plain\r\nMime-Version: 1.0\r\n\r\nx\r\n--MIMEBOUNDARY--\r\n"
        );
        assert!(id.parse::<u32>().is_ok());
    }
}
