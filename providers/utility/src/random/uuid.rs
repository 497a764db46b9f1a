//! `random_uuid` and `random_uuid4`: the same thing under two names.

use stead_sdk::value::Diagnostics;
use stead_sdk::{Error, PlanDraft, Resource};
use uuid::Uuid;

use crate::generated::{Generated, Keepers, generated, ignore_null_keepers};

/// A random UUID.
#[derive(Clone, Debug, Resource)]
#[resource(name = "random_uuid")]
pub(crate) struct RandomUuid {
    /// Arbitrary values that, when changed, make a new UUID.
    #[attr(optional, replace)]
    keepers: Option<Keepers>,
    /// The UUID.
    #[attr(computed)]
    result: String,
    /// The UUID.
    #[attr(computed)]
    id: String,
}

/// A random UUID of version 4.
#[derive(Clone, Debug, Resource)]
#[resource(name = "random_uuid4")]
pub(crate) struct RandomUuid4 {
    /// Arbitrary values that, when changed, make a new UUID.
    #[attr(optional, replace)]
    keepers: Option<Keepers>,
    /// The UUID.
    #[attr(computed)]
    result: String,
    /// The UUID.
    #[attr(computed)]
    id: String,
}

generated!(RandomUuid, RandomUuid4);

fn parse(id: &str) -> Result<String, Error> {
    let parsed = Uuid::parse_str(id)
        .map_err(|e| Error::new(format!("import the UUID {id:?}"), e.to_string()))?;
    Ok(parsed.to_string())
}

impl Generated for RandomUuid {
    fn plan(plan: &mut PlanDraft) -> Result<(), Diagnostics> {
        ignore_null_keepers(plan, "keepers");
        Ok(())
    }

    fn generate(self) -> Result<Self, Error> {
        let id = Uuid::new_v4().to_string();
        Ok(RandomUuid {
            result: id.clone(),
            id,
            ..self
        })
    }

    fn import(id: &str) -> Result<Self, Error> {
        let id = parse(id)?;
        Ok(RandomUuid {
            keepers: None,
            result: id.clone(),
            id,
        })
    }
}

impl Generated for RandomUuid4 {
    fn plan(plan: &mut PlanDraft) -> Result<(), Diagnostics> {
        ignore_null_keepers(plan, "keepers");
        Ok(())
    }

    fn generate(self) -> Result<Self, Error> {
        let id = Uuid::new_v4().to_string();
        Ok(RandomUuid4 {
            result: id.clone(),
            id,
            ..self
        })
    }

    fn import(id: &str) -> Result<Self, Error> {
        let id = parse(id)?;
        Ok(RandomUuid4 {
            keepers: None,
            result: id.clone(),
            id,
        })
    }
}
