//! The built-in provider `terraform.io/builtin/terraform`: `terraform_data`, and the outputs of other states.

mod remote_state;

pub use remote_state::RemoteStates;

use std::sync::Arc;

use stead_sdk::value::{Diagnostic, Diagnostics, Path, Type, Value};
use stead_sdk::{
    Context, Dialer, Dynamic, Error, Failure, ForeignObject, Native, NoConfig, PlanDraft,
    ProviderFactory, Resource, async_trait,
};

/// A value kept in the state, and a place to hang triggers and provisioners on.
#[derive(Clone, Debug, Resource)]
#[resource(name = "terraform_data")]
struct TerraformData {
    /// Any value.
    #[attr(optional)]
    input: Dynamic,
    /// The value of `input`, known after apply.
    #[attr(computed)]
    output: Dynamic,
    /// Any value that, when changed, makes a new object.
    #[attr(optional, replace)]
    triggers_replace: Dynamic,
    /// A random UUID.
    #[attr(computed)]
    id: String,
}

#[async_trait]
impl Resource for TerraformData {
    type Client = Arc<dyn RemoteStates>;

    async fn plan(
        _states: Option<&Arc<dyn RemoteStates>>,
        plan: &mut PlanDraft,
        _cx: &Context,
    ) -> Result<(), Diagnostics> {
        let replaced = !plan.is_create() && plan.changes("triggers_replace");
        if plan.is_create() || replaced {
            let id = Value::unknown(Type::String).refine_not_null();
            plan.set(&Path::root().attr("id"), id)?;
        }
        if plan.is_create() || replaced || plan.changes("input") {
            // The output has the input's type; a new object's input that is null is known already.
            let input = plan
                .attribute("input")
                .unwrap_or_else(|| Value::null(Type::Dynamic));
            let output = if input.is_null() && (plan.is_create() || replaced) {
                input
            } else {
                Value::unknown(input.ty())
            };
            plan.set(&Path::root().attr("output"), output)?;
        }
        Ok(())
    }

    async fn create(
        _states: &Arc<dyn RemoteStates>,
        planned: Self,
        _config: &Value,
        _cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let id = uuid::Uuid::new_v4().to_string();
        Ok(TerraformData {
            id,
            output: planned.input.clone(),
            ..planned
        })
    }

    async fn read(
        _states: &Arc<dyn RemoteStates>,
        prior: Self,
        _cx: &Context,
    ) -> Result<Option<Self>, Error> {
        Ok(Some(prior))
    }

    async fn update(
        _states: &Arc<dyn RemoteStates>,
        _prior: Self,
        planned: Self,
        _config: &Value,
        _cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        Ok(TerraformData {
            output: planned.input.clone(),
            ..planned
        })
    }

    async fn delete(
        _states: &Arc<dyn RemoteStates>,
        _prior: Self,
        _cx: &Context,
    ) -> Result<(), Error> {
        Ok(())
    }

    /// A `null_resource` becomes a `terraform_data`: its triggers are the new object's.
    fn take_over(object: &ForeignObject<'_>) -> Result<Self, Diagnostics> {
        let from_null =
            &*object.provider.namespace == "hashicorp" && &*object.provider.name == "null";
        if !from_null {
            return Err(Diagnostic::error(
                "Unsupported source provider for move operation",
                "Only moving from the official hashicorp/null provider to terraform_data is supported.",
            )
            .into());
        }
        if object.type_name != "null_resource" {
            return Err(Diagnostic::error(
                "Unsupported source resource type for move operation",
                "Only moving from the null_resource managed resource to terraform_data is supported.",
            )
            .into());
        }
        let triggers = object
            .attributes
            .get("triggers")
            .and_then(|t| t.as_object());
        let triggers = triggers.map(|triggers| {
            let text = |value: &serde_json::Value| match value.as_str() {
                Some(text) => Value::string(text),
                None => Value::null(Type::String),
            };
            let entries = triggers.iter().map(|(k, v)| (k.as_str().into(), text(v)));
            // What people write in braces is an object.
            Value::object(entries.collect())
        });
        let id = object.attributes.get("id").and_then(|id| id.as_str());
        let null = || Value::null(Type::Dynamic);
        Ok(TerraformData {
            input: null(),
            output: null(),
            triggers_replace: triggers.unwrap_or_else(null),
            id: id.unwrap_or_default().to_owned(),
        })
    }

    async fn import(
        _states: &Arc<dyn RemoteStates>,
        id: &str,
        _cx: &Context,
    ) -> Result<Self, Error> {
        let null = || Value::null(Type::Dynamic);
        Ok(TerraformData {
            input: null(),
            output: null(),
            triggers_replace: null(),
            id: id.to_owned(),
        })
    }
}

/// Where people find it.
pub const SOURCE: &str = "terraform.io/builtin/terraform";

/// `states` reads the states of other stacks.
pub fn factory(dialer: &Dialer, states: Arc<dyn RemoteStates>) -> impl ProviderFactory + use<> {
    Native::<Arc<dyn RemoteStates>>::provider::<NoConfig>("terraform")
        .configure(move |_, _, _| {
            let states = Arc::clone(&states);
            async move { Ok(states) }
        })
        .only_in_state()
        .resource::<TerraformData>()
        .data_source::<remote_state::RemoteState>()
        .build(dialer)
}
