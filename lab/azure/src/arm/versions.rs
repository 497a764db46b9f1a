//! The API versions that each resource type accepts.

use crate::http::{Answer, error};

/// Versions of the resource manager's own types (groups, resources, providers, subscriptions).
const RESOURCES: &[&str] = &[
    "2014-04-01",
    "2015-01-01",
    "2015-11-01",
    "2016-02-01",
    "2016-06-01",
    "2016-09-01",
    "2017-05-10",
    "2018-02-01",
    "2018-05-01",
    "2018-06-01",
    "2019-03-01",
    "2019-05-01",
    "2019-05-10",
    "2019-06-01",
    "2019-07-01",
    "2019-08-01",
    "2019-10-01",
    "2019-11-01",
    "2020-01-01",
    "2020-06-01",
    "2020-08-01",
    "2020-10-01",
    "2021-01-01",
    "2021-04-01",
    "2022-09-01",
    "2022-12-01",
    "2023-07-01",
    "2024-03-01",
    "2024-07-01",
    "2024-11-01",
    "2025-03-01",
    "2025-04-01",
];
const VAULTS: &[&str] = &[
    "2015-06-01",
    "2016-10-01",
    "2018-02-14",
    "2019-09-01",
    "2021-10-01",
    "2022-07-01",
    "2022-11-01",
    "2023-02-01",
    "2023-07-01",
    "2024-11-01",
    "2025-05-01",
    "2026-02-01",
];
const STORAGE: &[&str] = &[
    "2017-10-01",
    "2018-02-01",
    "2018-07-01",
    "2018-11-01",
    "2019-04-01",
    "2019-06-01",
    "2021-01-01",
    "2021-02-01",
    "2021-04-01",
    "2021-06-01",
    "2021-08-01",
    "2021-09-01",
    "2022-05-01",
    "2022-09-01",
    "2023-01-01",
    "2023-04-01",
    "2023-05-01",
    "2024-01-01",
    "2025-01-01",
    "2025-06-01",
    "2025-08-01",
];
const ROLE_ASSIGNMENTS: &[&str] = &[
    "2015-07-01",
    "2018-07-01",
    "2020-04-01-preview",
    "2020-10-01-preview",
    "2022-04-01",
];
const ROLE_DEFINITIONS: &[&str] = &[
    "2015-07-01",
    "2018-01-01-preview",
    "2022-04-01",
    "2022-05-01-preview",
];
const IDENTITIES: &[&str] = &["2018-11-30", "2023-01-31", "2024-11-30"];

/// The versions of a type.
pub(crate) fn of(kind: &str) -> &'static [&'static str] {
    match kind {
        "vaults" => VAULTS,
        "storageAccounts" => STORAGE,
        "roleAssignments" => ROLE_ASSIGNMENTS,
        "roleDefinitions" => ROLE_DEFINITIONS,
        "userAssignedIdentities" => IDENTITIES,
        _ => RESOURCES,
    }
}

/// 400 unless the type accepts the version.
pub(crate) fn check(kind: &str, version: &str) -> Result<(), Answer> {
    let known = of(kind);
    if known.contains(&version) {
        return Ok(());
    }
    let list = known.join(", ");
    Err(if std::ptr::eq(known, RESOURCES) {
        error(
            400,
            "InvalidApiVersionParameter",
            format!("The api-version '{version}' is invalid. The supported versions are '{list}'."),
        )
    } else {
        let text = format!(
            "No registered resource provider found for API version '{version}' for type '{kind}'. The supported api-versions are '{list}'."
        );
        error(400, "NoRegisteredProviderFound", text)
    })
}
