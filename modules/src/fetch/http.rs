//! HTTP: an archive, or an address that leads elsewhere by `X-Terraform-Get` or a `meta` tag.

use std::path::Path;

use reqwest::Url;
use reqwest::header::HeaderMap;

use super::{Wanted, split};
use crate::{FetchError, Network, copy_directory};

pub(crate) async fn fetch(
    network: &Network,
    mut url: Url,
    wanted: &Wanted,
    into: &Path,
) -> Result<Option<String>, FetchError> {
    if let Some(format) = wanted.format {
        let bytes = network.bytes(url.as_str(), HeaderMap::new()).await?;
        return wanted.unpack(format, &bytes, into).map(|()| None);
    }
    url.query_pairs_mut().append_pair("terraform-get", "1");
    let response = network.get(url.as_str(), HeaderMap::new()).await?;
    let header = response
        .headers()
        .get("X-Terraform-Get")
        .and_then(|v| v.to_str().ok())
        .map(ToOwned::to_owned);
    let location = match header {
        Some(location) => location,
        None => {
            let text = response.text().await.unwrap_or_default();
            meta_tag(&text).ok_or_else(|| FetchError::Answer {
                asked: format!("GET {}", stead_sdk::redact_url(url.as_str())),
                why: "no archive, and no source URL in a header X-Terraform-Get or a meta tag terraform-get".into(),
            })?
        }
    };
    let relative = ["/", "./", "../"].iter().any(|p| location.starts_with(p));
    let location = if relative {
        url.join(&location)
            .map_err(|e| FetchError::Address(format!("{location} is no URL: {e}")))?
            .to_string()
    } else {
        location
    };
    let next = split(&location)?;
    if next.subdir.is_empty() {
        return Ok(Some(next.package));
    }
    // Only a part of what is fetched there is wanted.
    let whole = tempfile::tempdir().map_err(FetchError::disk("a temporary directory"))?;
    let package = whole.path().join("package");
    Box::pin(super::package(network, &next.package, &package)).await?;
    copy_directory(&package.join(&next.subdir), into)?;
    Ok(None)
}

/// The content of `<meta name="terraform-get" content="…">`.
fn meta_tag(html: &str) -> Option<String> {
    let mut rest = html;
    while let Some(at) = rest.find("<meta") {
        let tag = rest.get(at..)?;
        let end = tag.find('>')?;
        let (inside, after) = tag.split_at(end);
        if inside.contains("terraform-get") {
            let content = inside.split_once("content=")?.1;
            let quote = content.chars().next()?;
            let text = content.get(1..)?;
            return Some(text.split_once(quote)?.0.to_owned());
        }
        rest = after;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::meta_tag;

    #[test]
    fn a_page_can_lead_elsewhere() {
        let page = r#"<html><head><meta charset="utf-8"><meta name="terraform-get" content="./a.zip" /></head>"#;
        assert_eq!(meta_tag(page).as_deref(), Some("./a.zip"));
        assert_eq!(meta_tag("<html></html>"), None);
    }
}
