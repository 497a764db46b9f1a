//! Files that the agent reads and writes inside.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::exec::decoded;
use super::{agent_error, available};
use crate::Px;
use crate::error::Answer;
use crate::routes::Call;

/// Most that one call reads.
const LIMIT: usize = 16 << 20;

/// `GET …/agent/file-read`
pub(super) async fn read(px: &Px, call: Call) -> Answer {
    let agent = available(px, &call).await?;
    let path = call.params.text("file");
    let content = agent.hands("file-open")?.read(path).map_err(|text| {
        agent_error(&format!("failed to open file '{path}' (mode: 'r'): {text}"))
    })?;
    let number = |name: &str| {
        let given = call.params.number(name)?;
        usize::try_from(given).ok()
    };
    let rest = content
        .get(number("offset").unwrap_or(0)..)
        .unwrap_or_default();
    let limit = number("count").unwrap_or(LIMIT).min(LIMIT);
    let part = rest.get(..limit).unwrap_or(rest);
    let text = match call.params.get("decode") {
        Some("0") => STANDARD.encode(part),
        _ => String::from_utf8_lossy(part).into_owned(),
    };
    let mut told = json!({ "content": text, "bytes-read": part.len() });
    if let (true, Value::Object(fields)) = (part.len() < rest.len(), &mut told) {
        fields.insert("truncated".into(), 1.into());
    }
    Ok(told)
}

/// `POST …/agent/file-write`
pub(super) async fn write(px: &Px, call: Call) -> Answer {
    let agent = available(px, &call).await?;
    let path = call.params.text("file");
    // The client encoded it itself when it asks not to.
    let encoded = call.params.get("encode") == Some("0");
    let content = decoded(call.params.text("content"), encoded)?;
    agent
        .hands("file-open")?
        .write(path, &content)
        .map_err(|text| {
            agent_error(&format!(
                "failed to open file '{path}' (mode: 'wb'): {text}"
            ))
        })?;
    Ok(Value::Null)
}
