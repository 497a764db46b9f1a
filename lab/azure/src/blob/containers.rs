//! Containers on the data plane.

use std::collections::BTreeMap;

use super::lease::Stand;
use super::xml::{self, element, escape};
use super::{Outcome, Request, container_not_found, error, invalid};
use crate::http::{Answer, http_date, now};
use crate::state::{AccessPolicy, Container};

impl Request<'_> {
    pub(super) fn list_containers(&self) -> Outcome {
        let prefix = self.call.param("prefix").unwrap_or_default();
        let marker = self.call.param("marker").unwrap_or_default();
        let size = page_size(self)?;
        let with_metadata = self.includes("metadata");
        self.with_account(|account, _| {
            let mut rest = account.containers.values().filter(|c| c.name.starts_with(prefix) && c.name.as_str() >= marker);
            let mut list = String::new();
            for container in rest.by_ref().take(size) {
                let stand = Stand::of(container.lease.as_ref(), now());
                let mut properties = element("Last-Modified", &http_date(container.modified));
                properties.push_str(&element("Etag", container.etag.trim_matches('"')));
                properties.push_str(&element("LeaseStatus", stand.status()));
                properties.push_str(&element("LeaseState", stand.state()));
                if container.public_access != "None" {
                    properties.push_str(&element("PublicAccess", &container.public_access.to_ascii_lowercase()));
                }
                properties.push_str("<DefaultEncryptionScope>$account-encryption-key</DefaultEncryptionScope><DenyEncryptionScopeOverride>false</DenyEncryptionScopeOverride><HasImmutabilityPolicy>false</HasImmutabilityPolicy><HasLegalHold>false</HasLegalHold>");
                let metadata = if with_metadata { metadata_xml(&container.metadata) } else { String::new() };
                list.push_str(&format!("<Container>{}<Properties>{properties}</Properties>{metadata}</Container>", element("Name", &container.name)));
            }
            let next = rest.next().map(|c| c.name.clone()).unwrap_or_default();
            let body = format!(
                "<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ServiceEndpoint=\"https://{}.blob.core.windows.net/\">{}<MaxResults>{size}</MaxResults><Containers>{list}</Containers>{}</EnumerationResults>",
                escape(&self.account),
                element("Prefix", prefix),
                element("NextMarker", &next)
            );
            Ok(Answer::xml(200, body))
        })
    }

    pub(super) fn service_properties(&self) -> Outcome {
        if self.call.param("restype") == Some("account") {
            return self.with_account(|account, _| {
                Ok(Answer::empty(200)
                    .with("x-ms-sku-name", &account.sku)
                    .with("x-ms-account-kind", &account.kind))
            });
        }
        let retention =
            |on: bool| format!("<RetentionPolicy><Enabled>{on}</Enabled></RetentionPolicy>");
        let metrics = |name: &str| {
            format!(
                "<{name}><Version>1.0</Version><Enabled>false</Enabled>{}</{name}>",
                retention(false)
            )
        };
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><StorageServiceProperties><Logging><Version>1.0</Version><Read>false</Read><Write>false</Write><Delete>false</Delete>{}</Logging>{}{}<Cors /><DeleteRetentionPolicy><Enabled>false</Enabled></DeleteRetentionPolicy><StaticWebsite><Enabled>false</Enabled></StaticWebsite></StorageServiceProperties>",
            retention(false),
            metrics("HourMetrics"),
            metrics("MinuteMetrics")
        );
        Ok(Answer::xml(200, body))
    }

    pub(super) fn create_container(&self) -> Outcome {
        if !crate::arm::valid_container_name(&self.container) {
            return Err(error(
                400,
                "InvalidResourceName",
                "The specifed resource name contains invalid characters.",
            ));
        }
        let metadata = self.metadata()?;
        let access = self.public_access()?;
        let busy = self.cloud.fault("container-being-deleted");
        self.with_account(|account, etag| {
            if account.containers.contains_key(&self.container) {
                return Err(error(
                    409,
                    "ContainerAlreadyExists",
                    "The specified container already exists.",
                ));
            }
            if busy
                || account
                    .busy_containers
                    .get(&self.container)
                    .is_some_and(|until| now() < *until)
            {
                return Err(error(
                    409,
                    "ContainerBeingDeleted",
                    "The specified container is being deleted. Try operation later.",
                ));
            }
            if access != "None"
                && account.properties.get("allowBlobPublicAccess")
                    != Some(&serde_json::Value::Bool(true))
            {
                return Err(error(
                    409,
                    "PublicAccessNotPermitted",
                    "Public access is not permitted on this storage account.",
                ));
            }
            account.busy_containers.remove(&self.container);
            let container = Container {
                name: self.container.clone(),
                public_access: access,
                metadata,
                etag: etag.clone(),
                modified: now(),
                ..Container::default()
            };
            let modified = container.modified;
            account.containers.insert(self.container.clone(), container);
            Request::stamped(Answer::empty(201), &etag, modified)
        })
    }

    pub(super) fn container_properties(&self) -> Outcome {
        self.with_container(|container, _| {
            if !self.call.header("x-ms-lease-id").is_empty() {
                self.check_lease(container.lease.as_ref(), "container")?;
            }
            let stand = Stand::of(container.lease.as_ref(), now());
            let mut answer = Answer::empty(200)
                .with("x-ms-lease-status", stand.status())
                .with("x-ms-lease-state", stand.state())
                .with("x-ms-has-immutability-policy", "false")
                .with("x-ms-has-legal-hold", "false")
                .with(
                    "x-ms-default-encryption-scope",
                    container
                        .default_encryption_scope
                        .as_deref()
                        .unwrap_or("$account-encryption-key"),
                )
                .with(
                    "x-ms-deny-encryption-scope-override",
                    container
                        .deny_encryption_scope_override
                        .unwrap_or(false)
                        .to_string(),
                );
            if container.public_access != "None" {
                answer = answer.with(
                    "x-ms-blob-public-access",
                    container.public_access.to_ascii_lowercase(),
                );
            }
            answer.named = metadata_headers(&container.metadata);
            Request::stamped(answer, &container.etag, container.modified)
        })
    }

    pub(super) fn delete_container(&self) -> Outcome {
        let busy_until = now().saturating_add(self.cloud.lasting(30));
        self.with_account(|account, _| {
            let container = account
                .containers
                .get(&self.container)
                .ok_or_else(container_not_found)?;
            self.check_lease(container.lease.as_ref(), "container")?;
            self.conditions(Some((&container.etag, container.modified)))?;
            if let Some(container) = account.containers.remove(&self.container) {
                super::content::forget_container(&self.cloud.lab.store, &container);
            }
            account
                .busy_containers
                .insert(self.container.clone(), busy_until);
            Ok(Answer::empty(202))
        })
    }

    pub(super) fn set_container_metadata(&self) -> Outcome {
        let metadata = self.metadata()?;
        self.with_container(|container, etag| {
            if !self.call.header("x-ms-lease-id").is_empty() {
                self.check_lease(container.lease.as_ref(), "container")?;
            }
            self.conditions(Some((&container.etag, container.modified)))?;
            container.metadata = metadata;
            container.etag = etag;
            container.modified = now();
            Request::stamped(Answer::empty(200), &container.etag, container.modified)
        })
    }

    /// Get and Set Container ACL: public access and stored access policies.
    pub(super) fn container_acl(&self) -> Outcome {
        if self.call.method != "PUT" {
            return self.with_container(|container, _| {
                let mut list = String::new();
                for (id, policy) in &container.policies {
                    let mut inner = String::new();
                    for (name, value) in [("Start", &policy.start), ("Expiry", &policy.expiry), ("Permission", &policy.permission)] {
                        inner.push_str(&value.as_ref().map(|v| element(name, v)).unwrap_or_default());
                    }
                    list.push_str(&format!("<SignedIdentifier>{}<AccessPolicy>{inner}</AccessPolicy></SignedIdentifier>", element("Id", id)));
                }
                let body = format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><SignedIdentifiers>{list}</SignedIdentifiers>");
                let mut answer = Answer::xml(200, body);
                if container.public_access != "None" {
                    answer = answer.with("x-ms-blob-public-access", container.public_access.to_ascii_lowercase());
                }
                Request::stamped(answer, &container.etag, container.modified)
            });
        }
        let access = self.public_access()?;
        let policies = policies(&self.call.body)?;
        let public =
            self.account_property("allowBlobPublicAccess") == serde_json::Value::Bool(true);
        if access != "None" && !public {
            return Err(error(
                409,
                "PublicAccessNotPermitted",
                "Public access is not permitted on this storage account.",
            ));
        }
        self.with_container(|container, etag| {
            if !self.call.header("x-ms-lease-id").is_empty() {
                self.check_lease(container.lease.as_ref(), "container")?;
            }
            container.public_access = access;
            container.policies = policies;
            container.etag = etag;
            container.modified = now();
            Request::stamped(Answer::empty(200), &container.etag, container.modified)
        })
    }

    fn public_access(&self) -> Result<String, Answer> {
        match self
            .call
            .header("x-ms-blob-public-access")
            .to_ascii_lowercase()
            .as_str()
        {
            "" => Ok("None".to_owned()),
            "blob" => Ok("Blob".to_owned()),
            "container" => Ok("Container".to_owned()),
            _ => Err(invalid("header", "x-ms-blob-public-access")),
        }
    }

    /// Whether the `include` parameter of a list names this.
    pub(super) fn includes(&self, what: &str) -> bool {
        self.call
            .param("include")
            .unwrap_or_default()
            .split(',')
            .any(|i| i.trim().eq_ignore_ascii_case(what))
    }

    /// The `x-ms-meta-*` headers.
    pub(super) fn metadata(&self) -> Result<BTreeMap<String, String>, Answer> {
        let mut metadata = BTreeMap::new();
        for (name, value) in &self.call.headers {
            let Some(name) = name.as_str().strip_prefix("x-ms-meta-") else {
                continue;
            };
            let identifier = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            match value.to_str() {
                Ok(value) if identifier => drop(metadata.insert(name.to_owned(), value.to_owned())),
                _ => {
                    return Err(error(
                        400,
                        "InvalidMetadata",
                        "The metadata specified is invalid. It has characters that are not permitted.",
                    ));
                }
            }
        }
        Ok(metadata)
    }
}

/// `maxresults`: 1 to 5000, 5000 by default.
pub(super) fn page_size(request: &Request<'_>) -> Result<usize, Answer> {
    match request.call.param("maxresults").map(str::parse::<usize>) {
        None => Ok(5000),
        Some(Ok(0)) | Some(Err(_)) => Err(error(
            400,
            "OutOfRangeQueryParameterValue",
            "One of the query parameters specified in the request URI is outside the permissible range. (maxresults)",
        )),
        Some(Ok(n)) => Ok(n.min(5000)),
    }
}

pub(super) fn metadata_headers(metadata: &BTreeMap<String, String>) -> Vec<(String, String)> {
    metadata
        .iter()
        .map(|(k, v)| (format!("x-ms-meta-{k}"), v.clone()))
        .collect()
}

pub(super) fn metadata_xml(metadata: &BTreeMap<String, String>) -> String {
    let inner: String = metadata.iter().map(|(k, v)| element(k, v)).collect();
    if inner.is_empty() {
        "<Metadata />".to_owned()
    } else {
        format!("<Metadata>{inner}</Metadata>")
    }
}

fn policies(body: &[u8]) -> Result<BTreeMap<String, AccessPolicy>, Answer> {
    let broken = || {
        error(
            400,
            "InvalidXmlDocument",
            "XML specified is not syntactically valid.",
        )
    };
    if body.is_empty() {
        return Ok(BTreeMap::new());
    }
    let document = std::str::from_utf8(body)
        .ok()
        .and_then(xml::parse)
        .filter(|d| d.name == "SignedIdentifiers")
        .ok_or_else(broken)?;
    if document.children.len() > 5 {
        return Err(error(
            400,
            "InvalidXmlDocument",
            "At most five stored access policies may be set.",
        ));
    }
    let mut policies = BTreeMap::new();
    for identifier in &document.children {
        let id = identifier
            .child_text("Id")
            .filter(|id| !id.is_empty() && id.len() <= 64)
            .ok_or_else(broken)?;
        let policy = identifier
            .children
            .iter()
            .find(|c| c.name == "AccessPolicy");
        let text = |name: &str| policy.and_then(|p| p.child_text(name)).map(str::to_owned);
        policies.insert(
            id.to_owned(),
            AccessPolicy {
                start: text("Start"),
                expiry: text("Expiry"),
                permission: text("Permission"),
            },
        );
    }
    Ok(policies)
}
