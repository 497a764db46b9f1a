//! `hashicorp/null` 3.x: things that do nothing.

use std::collections::BTreeMap;

use rand::RngExt as _;
use stead_sdk::value::Diagnostics;
use stead_sdk::{
    Context, DataSource, Dialer, Error, Native, PlanDraft, ProviderFactory, Resource, async_trait,
};

use crate::generated::{Generated, Keepers, generated, ignore_null_keepers};

/// A resource that does nothing, to hang provisioners and dependencies on.
#[derive(Clone, Debug, Resource)]
#[resource(name = "null_resource")]
struct NullResource {
    /// Arbitrary values that, when changed, make a new object.
    #[attr(optional, replace)]
    triggers: Option<Keepers>,
    /// A random number.
    #[attr(computed)]
    id: String,
}

generated!(NullResource);

impl Generated for NullResource {
    fn plan(plan: &mut PlanDraft) -> Result<(), Diagnostics> {
        ignore_null_keepers(plan, "triggers");
        Ok(())
    }

    fn generate(self) -> Result<Self, Error> {
        Ok(NullResource {
            id: random(),
            ..self
        })
    }
}

/// A number of 63 bits, as the published provider draws them.
fn random() -> String {
    rand::rng().random_range(0..=i64::MAX).to_string()
}

/// Gives back what it is given.
#[derive(Clone, Debug, DataSource)]
#[data_source(
    name = "null_data_source",
    deprecated = "Use locals or terraform_data."
)]
struct NullData {
    /// Values to give back.
    #[attr(optional)]
    inputs: Option<BTreeMap<String, Option<String>>>,
    /// The values of `inputs`.
    #[attr(computed)]
    outputs: Option<BTreeMap<String, Option<String>>>,
    /// A random number.
    #[attr(computed)]
    random: Option<String>,
    /// `default` unless set.
    #[attr(optional, computed)]
    has_computed_default: Option<String>,
    /// Always `static`.
    #[attr(computed, deprecated = "For compatibility only.")]
    id: Option<String>,
}

#[async_trait]
impl DataSource for NullData {
    type Client = ();

    async fn read(_client: &(), config: Self, _cx: &Context) -> Result<Self, Error> {
        Ok(NullData {
            outputs: config.inputs.clone(),
            random: Some(random()),
            has_computed_default: config
                .has_computed_default
                .or_else(|| Some("default".to_owned())),
            id: Some("static".to_owned()),
            inputs: config.inputs,
        })
    }
}

pub fn factory(dialer: &Dialer) -> impl ProviderFactory + use<> {
    Native::local("null")
        .only_in_state()
        .resource::<NullResource>()
        .data_source::<NullData>()
        .build(dialer)
}
