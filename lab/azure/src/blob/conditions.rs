//! Conditional headers.

use super::{Outcome, Request, error};
use crate::http::{Answer, http_date};

impl Request<'_> {
    /// Checks `If-Match`, `If-None-Match` and the time conditions against what exists (`ETag`, time of change).
    pub(super) fn conditions(&self, existing: Option<(&str, i64)>) -> Result<(), Answer> {
        let header = |name: &str| Some(self.call.header(name)).filter(|v| !v.is_empty());
        let writing = self.call.method != "GET" && self.call.method != "HEAD";
        let failed = || {
            error(
                412,
                "ConditionNotMet",
                "The condition specified using HTTP conditional header(s) is not met.",
            )
        };
        if let Some(wanted) = header("if-match") {
            let matches = existing.is_some_and(|(etag, _)| wanted == "*" || same(wanted, etag));
            if !matches {
                return Err(failed());
            }
        }
        if let Some(unwanted) = header("if-none-match") {
            if unwanted == "*" && existing.is_some() && writing {
                return Err(error(
                    409,
                    "BlobAlreadyExists",
                    "The specified blob already exists.",
                ));
            }
            if existing.is_some_and(|(etag, _)| same(unwanted, etag)) {
                return Err(if writing {
                    failed()
                } else {
                    Answer::empty(304).with("x-ms-error-code", "ConditionNotMet")
                });
            }
        }
        let Some((_, modified)) = existing else {
            return Ok(());
        };
        let modified = modified / 1000;
        if let Some(since) = header("if-modified-since").map(seconds).transpose()?
            && modified <= since
        {
            return Err(if writing {
                failed()
            } else {
                Answer::empty(304).with("x-ms-error-code", "ConditionNotMet")
            });
        }
        if let Some(since) = header("if-unmodified-since").map(seconds).transpose()?
            && modified > since
        {
            return Err(failed());
        }
        Ok(())
    }

    /// `ETag` and `Last-Modified` of an answer.
    pub(super) fn stamped(answer: Answer, etag: &str, modified: i64) -> Outcome {
        Ok(answer
            .with("etag", etag)
            .with("last-modified", http_date(modified)))
    }
}

fn same(header: &str, etag: &str) -> bool {
    header
        .split(',')
        .any(|h| h.trim().trim_matches('"') == etag.trim_matches('"'))
}

fn seconds(value: &str) -> Result<i64, Answer> {
    jiff::fmt::rfc2822::parse(value)
        .map(|z| z.timestamp().as_second())
        .map_err(|_| super::invalid("header", "a date"))
}
