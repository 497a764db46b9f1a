//! Requests and answers as the simulated services see them: decoded once, answered without touching a socket.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

/// One request, decoded.
#[derive(Clone)]
pub(crate) struct Call {
    pub method: Method,
    /// Lower case, without a port.
    pub host: String,
    /// As sent, still percent-encoded (what a SharedKey signature covers).
    pub raw_path: String,
    /// Decoded path segments, without empty ones.
    pub segments: Vec<String>,
    /// Decoded query pairs in the order sent; names keep their case.
    pub query: Vec<(String, String)>,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Call {
    /// The first query parameter of that name (names compare without regard to case, as Azure does).
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(k, _)| k.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
    }

    /// A header as text; empty when absent or not text.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default()
    }

    /// The path's segments as `&str`, for slice patterns.
    pub(crate) fn path(&self) -> Vec<&str> {
        self.segments.iter().map(String::as_str).collect()
    }

    /// The token of an `Authorization: Bearer` header.
    pub(crate) fn bearer(&self) -> Option<&str> {
        let (scheme, token) = self.header("authorization").split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then_some(token.trim())
    }
}

/// One answer.
pub(crate) struct Answer {
    pub status: StatusCode,
    pub headers: Vec<(&'static str, String)>,
    /// Headers whose names only the data knows (blob metadata).
    pub named: Vec<(String, String)>,
    pub body: Bytes,
}

impl Answer {
    /// An answer without a body.
    pub(crate) fn empty(status: u16) -> Answer {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Answer {
            status,
            headers: Vec::new(),
            named: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// A JSON answer.
    pub(crate) fn json(status: u16, body: &Value) -> Answer {
        let mut answer =
            Answer::empty(status).with("content-type", "application/json; charset=utf-8");
        answer.body = Bytes::from(body.to_string());
        answer
    }

    /// An XML answer.
    pub(crate) fn xml(status: u16, body: String) -> Answer {
        let mut answer = Answer::empty(status).with("content-type", "application/xml");
        answer.body = Bytes::from(body);
        answer
    }

    /// The same with one more header.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Answer {
        self.headers.push((name, value.into()));
        self
    }

    /// Turns it into what the server sends. A header value that HTTP cannot carry is left out of no answer: it becomes a 500.
    pub(crate) fn into_response(self) -> axum::response::Response {
        let mut response = axum::response::Response::new(axum::body::Body::from(self.body));
        *response.status_mut() = self.status;
        let fixed = self.headers.into_iter().map(|(k, v)| (k.to_owned(), v));
        for (name, value) in fixed.chain(self.named) {
            match (HeaderName::try_from(name), HeaderValue::from_str(&value)) {
                (Ok(name), Ok(value)) => {
                    response.headers_mut().insert(name, value);
                }
                _ => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
            }
        }
        response
    }
}

/// The usual error envelope of ARM and Key Vault.
pub(crate) fn error(status: u16, code: &str, message: impl Into<String>) -> Answer {
    Answer::json(
        status,
        &json!({"error": {"code": code, "message": message.into()}}),
    )
}

/// Percent-decodes; `plus` also reads `+` as a space (queries and forms). Invalid escapes stay as they are.
pub(crate) fn decode(text: &str, plus: bool) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        match b {
            b'+' if plus => out.push(b' '),
            b'%' => {
                let rest = bytes.byte_ahead();
                match rest {
                    Some(value) => {
                        out.push(value);
                        bytes.next();
                        bytes.next();
                    }
                    None => out.push(b'%'),
                }
            }
            other => out.push(other),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The byte that the next two characters spell in hexadecimal.
trait HexAhead {
    fn byte_ahead(&self) -> Option<u8>;
}

impl HexAhead for std::str::Bytes<'_> {
    fn byte_ahead(&self) -> Option<u8> {
        let mut ahead = self.clone();
        let high = char::from(ahead.next()?).to_digit(16)?;
        let low = char::from(ahead.next()?).to_digit(16)?;
        u8::try_from(high * 16 + low).ok()
    }
}

/// Decoded pairs of a query string or a form body.
pub(crate) fn pairs(text: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter(|p| !p.is_empty())
        .map(|p| {
            let (k, v) = p.split_once('=').unwrap_or((p, ""));
            (decode(k, true), decode(v, true))
        })
        .collect()
}

/// `2026-11-21T01:43:38.0000000Z`, as ARM prints times.
pub(crate) fn iso(millis: i64) -> String {
    stamp(millis)
        .strftime("%Y-%m-%dT%H:%M:%S.%f0000Z")
        .to_string()
}

/// `2026-11-21T01:43:38Z`.
pub(crate) fn iso_seconds(millis: i64) -> String {
    stamp(millis).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `Sat, 21 Nov 2026 01:43:38 GMT`, for HTTP headers.
pub(crate) fn http_date(millis: i64) -> String {
    stamp(millis)
        .strftime("%a, %d %b %Y %H:%M:%S GMT")
        .to_string()
}

/// Milliseconds since 1970.
pub(crate) fn now() -> i64 {
    Timestamp::now().as_millisecond()
}

fn stamp(millis: i64) -> Timestamp {
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_escapes_and_leaves_broken_ones() {
        assert_eq!(decode("a%20b+c", true), "a b c");
        assert_eq!(decode("a+b%2", false), "a+b%2");
        assert_eq!(decode("%zz%C3%A4", false), "%zzä");
    }

    #[test]
    fn times_have_azures_forms() {
        assert_eq!(http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(iso_seconds(1_000), "1970-01-01T00:00:01Z");
        assert!(
            iso(1_500).starts_with("1970-01-01T00:00:01.5"),
            "{}",
            iso(1_500)
        );
    }
}
