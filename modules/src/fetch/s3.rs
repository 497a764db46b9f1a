//! Archives in S3 buckets, with the signature that AWS asks for.

use std::path::Path;

use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest as _, Sha256};

use super::Wanted;
use super::checksum::hex;
use crate::{FetchError, Network};

struct Credentials {
    id: String,
    secret: String,
    token: Option<String>,
}

pub(crate) async fn fetch(
    network: &Network,
    mut url: Url,
    wanted: &Wanted,
    into: &Path,
) -> Result<(), FetchError> {
    let Some(format) = wanted.format else {
        return Err(FetchError::NotSupported(
            "\"s3\" of anything but an archive".into(),
        ));
    };
    let credentials = credentials(&url);
    let region = region(&url);
    url.set_query(None);
    let headers = match credentials {
        Some(credentials) => {
            let now = jiff::Timestamp::now()
                .strftime("%Y%m%dT%H%M%SZ")
                .to_string();
            signed(&url, &region, &credentials, &now)?
        }
        None => HeaderMap::new(),
    };
    let bytes = network.bytes(url.as_str(), headers).await?;
    wanted.unpack(format, &bytes, into)
}

/// From the address, or from the environment; none means a public bucket.
fn credentials(url: &Url) -> Option<Credentials> {
    let query = |name: &str| {
        url.query_pairs()
            .find(|(n, _)| n == name)
            .map(|(_, v)| v.into_owned())
    };
    let environment = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
    let id = query("aws_access_key_id").or_else(|| environment("AWS_ACCESS_KEY_ID"))?;
    let secret = query("aws_access_key_secret").or_else(|| environment("AWS_SECRET_ACCESS_KEY"))?;
    let token = query("aws_access_token").or_else(|| environment("AWS_SESSION_TOKEN"));
    Some(Credentials { id, secret, token })
}

/// `s3-eu-west-1.amazonaws.com`, `s3.eu-west-1.amazonaws.com`, `bucket.s3.eu-west-1.amazonaws.com`; else what the query says.
fn region(url: &Url) -> String {
    let given = url.query_pairs().find(|(n, _)| n == "region");
    if let Some((_, region)) = given {
        return region.into_owned();
    }
    let host = url.host_str().unwrap_or_default();
    let labels: Vec<&str> = host.split('.').collect();
    let named = labels
        .iter()
        .position(|l| *l == "s3" || l.starts_with("s3-"))
        .and_then(
            |i| match labels.get(i).and_then(|l| l.strip_prefix("s3-")) {
                Some(region) => Some(region),
                None => labels.get(i + 1).copied(),
            },
        );
    match named {
        Some("amazonaws") | None => {
            std::env::var("AWS_REGION").unwrap_or_else(|_| "us-east-1".into())
        }
        Some(region) => region.to_owned(),
    }
}

/// The headers of a signed GET request (Signature Version 4).
fn signed(
    url: &Url,
    region: &str,
    credentials: &Credentials,
    now: &str,
) -> Result<HeaderMap, FetchError> {
    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let day = now.get(..8).unwrap_or(now);
    let host = match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => {
            return Err(FetchError::Address(
                "the bucket's address has no host".into(),
            ));
        }
    };
    let mut fields = vec![
        ("host", host),
        ("x-amz-content-sha256", EMPTY.to_owned()),
        ("x-amz-date", now.to_owned()),
    ];
    if let Some(token) = &credentials.token {
        fields.push(("x-amz-security-token", token.clone()));
    }
    let names: Vec<&str> = fields.iter().map(|(n, _)| *n).collect();
    let names = names.join(";");
    let lines: String = fields.iter().map(|(n, v)| format!("{n}:{v}\n")).collect();
    let request = format!("GET\n{}\n\n{lines}\n{names}\n{EMPTY}", url.path());
    let scope = format!("{day}/{region}/s3/aws4_request");
    let text = format!(
        "AWS4-HMAC-SHA256\n{now}\n{scope}\n{}",
        hex(&Sha256::digest(request.as_bytes()))
    );
    let mut key = format!("AWS4{}", credentials.secret).into_bytes();
    for part in [day, region, "s3", "aws4_request"] {
        key = mac(&key, part)?;
    }
    let signature = hex(&mac(&key, &text)?);
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
        credentials.id
    );
    let mut headers = HeaderMap::new();
    let sent = fields
        .into_iter()
        .filter(|(n, _)| *n != "host")
        .chain([("authorization", authorization)]);
    for (name, value) in sent {
        let mut value = HeaderValue::from_str(&value).map_err(|_| {
            FetchError::Address("the AWS credentials hold control characters".into())
        })?;
        value.set_sensitive(true);
        headers.insert(HeaderName::from_static(name), value);
    }
    Ok(headers)
}

fn mac(key: &[u8], text: &str) -> Result<Vec<u8>, FetchError> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key)
        .map_err(|_| FetchError::Address("the AWS credentials can't be used as a key".into()))?;
    mac.update(text.as_bytes());
    Ok(mac.finalize().into_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_stands_in_the_host() {
        let of = |host: &str| region(&Url::parse(&format!("https://{host}/b/k.zip")).unwrap());
        assert_eq!(of("s3-eu-west-1.amazonaws.com"), "eu-west-1");
        assert_eq!(of("s3.eu-west-1.amazonaws.com"), "eu-west-1");
        assert_eq!(of("b.s3.eu-west-1.amazonaws.com"), "eu-west-1");
    }

    #[test]
    fn the_signature_is_the_one_of_the_documentation() {
        // "GET Object" in AWS's page on examples of signatures, without the Range header there.
        let url = Url::parse("https://examplebucket.s3.amazonaws.com/test.txt").unwrap();
        let credentials = Credentials {
            id: "AKIAIOSFODNN7EXAMPLE".into(),
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
            token: None,
        };
        let headers = signed(&url, "us-east-1", &credentials, "20130524T000000Z").unwrap();
        let authorization = headers["authorization"].to_str().unwrap();
        assert!(authorization.starts_with(
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature="
        ));
    }
}
