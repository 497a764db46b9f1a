//! `talos_image_factory_schematic`: what Talos images contain, registered with the Image Factory.

use stead_sdk::value::{Diagnostics, Path, Value};
use stead_sdk::{Context, Error, Failure, PlanDraft, Resource, async_trait};

use crate::client::Client;
use crate::machinery::Schematic;

/// A schematic of the Image Factory: it says which extensions, kernel arguments and overlay Talos images are made with.
///
/// The identifier follows from the content, so that a plan already knows it.
#[derive(Clone, Debug, Resource)]
#[resource(name = "talos_image_factory_schematic", version = 0)]
pub(crate) struct ImageFactorySchematic {
    /// The identifier of the schematic, a hash of its content.
    #[attr(computed(unknown_on_change))]
    id: String,
    /// The schematic as YAML; without it, the one without any customization.
    #[attr(optional)]
    schematic: Option<String>,
}

fn parse(text: Option<&str>) -> Result<Schematic, Error> {
    let parsed = text.map_or_else(|| Ok(Schematic::vanilla()), Schematic::parse);
    parsed.map_err(|e| {
        Error::new("read the schematic", e.to_string())
            .remedy("See the Image Factory's documentation for the fields of a schematic.")
            .attribute("schematic")
    })
}

impl ImageFactorySchematic {
    async fn register(self, client: &Client) -> Result<Self, Error> {
        let schematic = parse(self.schematic.as_deref())?;
        let id = client.register(&schematic).await?;
        if !self.id.is_empty() && self.id != id {
            let said = format!("it answered with {id}, where {} was planned", self.id);
            return Err(Error::new("register the schematic with the Image Factory", said)
                .remedy("The factory writes this schematic in another form than stead knows; report it, please."));
        }
        Ok(ImageFactorySchematic { id, ..self })
    }
}

#[async_trait]
impl Resource for ImageFactorySchematic {
    type Client = Client;

    const REPEATABLE: bool = true;

    fn validate(config: &Value) -> Diagnostics {
        let text = config.get("schematic");
        let checked = text
            .as_ref()
            .and_then(Value::as_str)
            .map(|t| parse(Some(t)));
        checked
            .and_then(Result::err)
            .map(Diagnostics::from)
            .unwrap_or_default()
    }

    async fn plan(
        _client: Option<&Client>,
        plan: &mut PlanDraft,
        _cx: &Context,
    ) -> Result<(), Diagnostics> {
        if !plan.has_changes() {
            return Ok(());
        }
        let id = Path::root().attr("id");
        let text = plan.attribute("schematic").filter(Value::is_known);
        let Some(text) = text else {
            return Ok(plan.set_unknown(&id)?);
        };
        let schematic = parse(text.as_str())?;
        // Where factories differ about the form, the one that is asked decides.
        match schematic.id_of_newer_factory() {
            None => plan.set(&id, Value::string(schematic.id()))?,
            Some(_) => plan.set_unknown(&id)?,
        }
        Ok(())
    }

    async fn create(
        client: &Client,
        planned: Self,
        _config: &Value,
        _cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        Ok(planned.register(client).await?)
    }

    /// A factory may forget a schematic, and then has no images for it any more: it is told again.
    async fn read(client: &Client, prior: Self, cx: &Context) -> Result<Option<Self>, Error> {
        let told_again = async {
            if client.is_registered(&prior.id).await? {
                return Ok(());
            }
            prior.clone().register(client).await.map(drop)
        };
        if let Err(error) = told_again.await {
            let diagnostic = stead_sdk::value::Diagnostic::from(error);
            cx.warn(diagnostic.summary, diagnostic.detail);
        }
        Ok(Some(prior))
    }

    async fn update(
        client: &Client,
        _prior: Self,
        planned: Self,
        _config: &Value,
        _cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        Ok(planned.register(client).await?)
    }

    /// Schematics cannot be removed from a factory; others may use the same.
    async fn delete(_client: &Client, _prior: Self, _cx: &Context) -> Result<(), Error> {
        Ok(())
    }
}
