//! What a plan of a small type looks up: whether it may be made. What it will bring is noted for others.

use stead_sdk::value::Diagnostics;
use stead_sdk::{Context, PlanDraft};

use crate::client::{Client, PlannedKind};
use crate::privilege::{Need, check_privileges};
use crate::rest::{Hooks, path};

pub(crate) async fn preflight<T: Hooks>(
    client: Option<&Client>,
    draft: &PlanDraft,
    cx: &Context,
) -> Result<(), Diagnostics> {
    let Some(client) = client else { return Ok(()) };
    let spec = T::SPEC;
    let changes = draft.is_create() || draft.has_changes();
    // Names are there when nothing changes, too; an access list that stays will not grant more.
    let brings = spec
        .brings
        .filter(|(kind, _)| changes || *kind != PlannedKind::AccessList);
    if let Some((kind, attribute)) = brings {
        let name = draft.attribute(attribute);
        let name = name.as_ref().and_then(|name| name.as_str());
        client.planned.note(kind, name.unwrap_or_default());
    }
    let (pattern, privileges) = spec.needs;
    if privileges.is_empty() || !draft.is_create() {
        return Ok(());
    }
    let mut found = Diagnostics::new();
    if let Some(path) = path::planned(pattern, draft) {
        let verb = if spec.is_settings { "set" } else { "create" };
        let doing = format!("{verb} the {}", spec.what);
        let needs = [Need::on(path, privileges)];
        check_privileges(client, cx, &doing, needs, &mut found).await;
    }
    found.into_result().map(drop)
}
