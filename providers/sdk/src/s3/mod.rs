//! Buckets of S3, of AWS and of other servers: who one is to them, and the few requests that are made of them, over the dialer. Feature `s3`.

mod bridge;
mod bucket;
mod files;
mod login;
mod roles;

pub use bridge::Bridge;
pub use bucket::{Bucket, Encryption, ListError, Put};
pub use login::{Login, LoginSettings};
pub use roles::{AssumeRole, AssumeRoleWithWebIdentity, duration};

use reqwest::Url;

/// What a bucket's address is made of.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place<'a> {
    pub bucket: &'a str,
    pub region: &'a str,
    /// Where the S3 API is, if not at AWS.
    pub endpoint: Option<&'a str>,
    /// Name the bucket in the path, not in the host.
    pub path_style: bool,
    pub fips: bool,
    pub dual_stack: bool,
}

impl Place<'_> {
    /// The bucket's address, with a slash at its end: its name is in the host, or in the path where that is asked for or cannot be
    /// otherwise. `None` when the endpoint is no URL with a host.
    pub fn address(&self) -> Option<Url> {
        let Place { bucket, region, .. } = self;
        let endpoint = match self.endpoint {
            Some(endpoint) => endpoint.trim_end_matches('/').to_owned(),
            None => {
                let fips = if self.fips { "-fips" } else { "" };
                let dual = if self.dual_stack { ".dualstack" } else { "" };
                let suffix = if region.starts_with("cn-") {
                    "amazonaws.com.cn"
                } else {
                    "amazonaws.com"
                };
                format!("https://s3{fips}{dual}.{region}.{suffix}")
            }
        };
        let mut url = Url::parse(&endpoint).ok().filter(Url::has_host)?;
        let is_label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let is_host_name = bucket
            .chars()
            .all(|c| is_label(c) || c == '.' && url.scheme() == "http");
        let is_address = url.host_str().is_some_and(|host| {
            host.parse::<std::net::Ipv4Addr>().is_ok() || host.starts_with('[')
        });
        let path = url.path().trim_end_matches('/').to_owned();
        if self.path_style || !is_host_name || is_address {
            url.set_path(&format!("{path}/{bucket}/"));
        } else {
            let host = format!("{bucket}.{}", url.host_str().unwrap_or_default());
            url.set_host(Some(&host)).ok()?;
            url.set_path(&format!("{path}/"));
        }
        Some(url)
    }
}
