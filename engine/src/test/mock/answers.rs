//! What is answered in a provider's place about an object that nobody makes.

use stead_sdk::{ApplyRequest, ApplyResponse, PlanRequest, PlanResponse, ReadResponse};
use stead_value::schema::Block;
use stead_value::{Diagnostics, Value};

use super::fill::{Open, With, computed, without_write_only};

/// What a new object is planned to be, with these values for what the provider would decide; any other is as configured.
pub(super) fn plan(
    request: PlanRequest,
    block: &Block,
    with: With<'_>,
) -> Result<PlanResponse, Diagnostics> {
    let created = request.prior.is_null() && !request.proposed.is_null();
    let (planned, diagnostics) = if created {
        computed(&request.proposed, block, Open::Null, with)
    } else {
        let planned = without_write_only(&request.proposed, block);
        (planned, Diagnostics::new())
    };
    Ok(PlanResponse {
        planned,
        requires_replace: Vec::new(),
        private: request.prior_private,
        warnings: diagnostics.into_result()?,
        notes: Vec::new(),
    })
}

/// What is recorded is what there is.
pub(super) fn unchanged(value: Value, private: Vec<u8>) -> ReadResponse {
    ReadResponse {
        value,
        private,
        identity: None,
        warnings: Diagnostics::new(),
    }
}

/// The planned object, a new one with these values for what was left open.
pub(super) fn apply(request: ApplyRequest, block: &Block, with: With<'_>) -> ApplyResponse {
    let (value, diagnostics) = if request.prior.is_null() {
        computed(&request.planned, block, Open::Unknown, with)
    } else {
        (request.planned, Diagnostics::new())
    };
    ApplyResponse {
        value,
        usable: true,
        private: request.private,
        identity: None,
        diagnostics,
    }
}
