//! Ids of Azure: paths of Resource Manager, which compare without regard to case, and addresses of secrets.

use stead_sdk::Error;

pub(crate) const RESOURCE_GROUP: &str = "/subscriptions/{}/resourceGroups/{}";
pub(crate) const VAULT: &str =
    "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.KeyVault/vaults/{}";
pub(crate) const ACCOUNT: &str =
    "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Storage/storageAccounts/{}";
pub(crate) const CONTAINER: &str = "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Storage/storageAccounts/{}/blobServices/default/containers/{}";

/// What stands at the `{}` of the template. Segments are compared without regard to case.
pub(crate) fn parse<'a, const N: usize>(
    template: &str,
    id: &'a str,
    attribute: &str,
) -> Result<[&'a str; N], Error> {
    let wrong = || {
        Error::new(
            format!("read `{attribute}`"),
            format!("{id:?} is not of the form {template}"),
        )
        .attribute(attribute)
    };
    let own: Vec<&str> = id.split('/').collect();
    let wanted: Vec<&str> = template.split('/').collect();
    if own.len() != wanted.len() {
        return Err(wrong());
    }
    let mut found = Vec::with_capacity(N);
    for (own, wanted) in own.iter().zip(&wanted) {
        match *wanted {
            "{}" if own.is_empty() => return Err(wrong()),
            "{}" => found.push(*own),
            wanted if own.eq_ignore_ascii_case(wanted) => {}
            _ => return Err(wrong()),
        }
    }
    found.try_into().map_err(|_| wrong())
}

/// The template with its `{}` filled in.
pub(crate) fn format(template: &str, parts: &[&str]) -> String {
    let mut parts = parts.iter();
    let segments = template.split('/').map(|segment| match segment {
        "{}" => parts.next().copied().unwrap_or_default(),
        fixed => fixed,
    });
    segments.collect::<Vec<_>>().join("/")
}

/// An id's last segment.
pub(crate) fn last(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or(id)
}

/// The id of the object that an id lies beneath, such as the account of a container: what precedes `marker`.
pub(crate) fn above<'a>(id: &'a str, marker: &str) -> &'a str {
    let found = id
        .to_ascii_lowercase()
        .find(&marker.to_ascii_lowercase())
        .and_then(|at| id.get(..at));
    found.unwrap_or(id)
}

/// `https://{vault host}/secrets/{name}[/{version}]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SecretId {
    /// The vault's address, with a slash at its end.
    pub(crate) vault: String,
    pub(crate) name: String,
    /// Empty for the latest.
    pub(crate) version: String,
}

impl SecretId {
    pub(crate) fn parse(id: &str) -> Result<SecretId, Error> {
        let wrong = || {
            Error::new(
                "read the secret's id",
                format!("{id:?} is not of the form https://VAULT/secrets/NAME/VERSION"),
            )
            .attribute("id")
        };
        let rest = id.strip_prefix("https://").ok_or_else(wrong)?;
        let parts: Vec<&str> = rest.trim_end_matches('/').split('/').collect();
        match parts.as_slice() {
            [host, "secrets", name] if !host.is_empty() => Ok(SecretId::of(host, name, "")),
            [host, "secrets", name, version] if !host.is_empty() => {
                Ok(SecretId::of(host, name, version))
            }
            _ => Err(wrong()),
        }
    }

    fn of(host: &str, name: &str, version: &str) -> SecretId {
        SecretId {
            vault: format!("https://{host}/"),
            name: name.to_owned(),
            version: version.to_owned(),
        }
    }

    pub(crate) fn versionless(&self) -> String {
        format!("{}secrets/{}", self.vault, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_without_regard_to_case() {
        let id = "/subscriptions/s/resourcegroups/rg/providers/microsoft.keyvault/Vaults/kv";
        assert_eq!(parse(VAULT, id, "id"), Ok(["s", "rg", "kv"]));
        assert_eq!(
            format(VAULT, &["s", "rg", "kv"]),
            "/subscriptions/s/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv"
        );
    }

    #[test]
    fn other_ids_are_refused_with_the_form() {
        for id in [
            "",
            "kv",
            "/subscriptions/s/resourceGroups/",
            "/subscriptions/s/resourceGroups/rg/x",
        ] {
            let error = parse::<2>(RESOURCE_GROUP, id, "scope").unwrap_err();
            assert!(error.said().contains(RESOURCE_GROUP), "{error}");
        }
    }

    #[test]
    fn what_lies_above_a_container_is_its_account() {
        let id = format(CONTAINER, &["s", "rg", "acct", "c"]);
        assert_eq!(
            above(&id, "/blobservices/"),
            format(ACCOUNT, &["s", "rg", "acct"])
        );
        assert_eq!(last(&id), "c");
    }

    #[test]
    fn secret_ids_with_and_without_version() {
        let id = SecretId::parse("https://kv.vault.azure.net/secrets/a-b/0123").unwrap();
        assert_eq!(id.vault, "https://kv.vault.azure.net/");
        assert_eq!(
            (id.name.as_str(), id.version.as_str(), id.versionless()),
            (
                "a-b",
                "0123",
                "https://kv.vault.azure.net/secrets/a-b".to_owned()
            )
        );
        assert_eq!(
            SecretId::parse("https://kv.vault.azure.net/secrets/a/")
                .unwrap()
                .version,
            ""
        );
        for bad in [
            "http://kv/secrets/a",
            "https://kv/keys/a",
            "https:///secrets/a",
            "a",
        ] {
            assert!(SecretId::parse(bad).is_err(), "{bad}");
        }
    }
}
