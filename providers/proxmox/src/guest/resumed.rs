//! A guest whose making was cut off.

use stead_sdk::{Cut, Field, Resumed};

/// What has become of it, by the guest that has its identifier now.
pub(crate) fn resumed<T: Field>(
    cut: &Cut<T>,
    found: Option<T>,
    name: impl Fn(&T) -> Option<String>,
) -> Resumed<T> {
    let Some(found) = found else {
        return Resumed::Absent;
    };
    let name = |guest: &T| name(guest).filter(|name| !name.is_empty());
    match (name(&cut.planned), name(&found)) {
        // Somebody else was faster with the identifier: ours was never made.
        (Some(wanted), Some(is)) if wanted != is => Resumed::Absent,
        _ if cut.is_met_by(&found) => Resumed::Complete(found),
        (Some(_), Some(_)) => Resumed::Unfit(found),
        // Without a name it may be anybody's.
        _ => Resumed::Unknown,
    }
}
