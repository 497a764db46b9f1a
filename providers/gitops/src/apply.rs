//! Applying one object as stead, with what to do when somebody else owns its fields.

use serde_json::Value as Json;
use stead_sdk::kube::{Apply, Cluster};
use stead_sdk::{Context, Error, ErrorKind};

use crate::provider::MANAGER;

/// Server-side apply as stead.
pub(crate) async fn apply(
    cluster: &Cluster,
    manifest: &Json,
    force: bool,
    cx: &Context,
) -> Result<Json, Error> {
    let apply = Apply {
        manager: MANAGER,
        force,
        dry_run: false,
    };
    cluster.apply(manifest, apply, cx).await.map_err(|error| match error.kind() {
        ErrorKind::Conflict => error.remedy(
            "Another manager owns these fields: leave them to it, or set `force_conflicts = true` to take them over.",
        ),
        _ => error,
    })
}
