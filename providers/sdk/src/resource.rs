//! What authors of native providers write: resources, data sources and configurations as typed structs.

use async_trait::async_trait;
use stead_value::schema::{Block as BlockSchema, Identity as IdentitySchema, Schema};
use stead_value::{Diagnostic, Diagnostics, Value};

use crate::{
    Context, Cut, Discovered, Error, Field, ForeignObject, PlanDraft, Private, Remains, Resumed,
};

/// A struct that describes a block: derived by `Block`, `Resource`, `DataSource` and `ProviderConfig` alike.
pub trait Block: Field {
    /// The schema of the fields.
    fn block() -> BlockSchema;

    /// Computed attributes that may take another value whenever anything changes.
    fn unknown_on_change() -> Vec<&'static str> {
        Vec::new()
    }
}

/// The derived half of a resource.
pub trait ResourceSchema: Block {
    /// The type name people write, such as `truenas_dataset`.
    const NAME: &'static str;
    /// Other names of the same type, such as those before a renaming.
    const ALIASES: &'static [&'static str] = &[];
    /// The version of the state's form.
    const VERSION: u64;
    /// Whether the published provider is of the older kind, in whose states null and `""`, `0`, `false` and `[]` are the same.
    const LEGACY: bool;

    fn schema() -> Schema {
        Schema {
            version: Self::VERSION,
            block: Self::block(),
            identity: Self::identity_schema(),
        }
    }

    // The four that `identity = …` derives, from what its `Identity` says.

    #[doc(hidden)]
    fn identity_schema() -> Option<IdentitySchema> {
        None
    }

    #[doc(hidden)]
    fn identity(&self) -> Option<Value> {
        None
    }

    #[doc(hidden)]
    fn identified_id(_identity: &Value) -> Result<String, Error> {
        Err(no_identity(Self::NAME))
    }

    #[doc(hidden)]
    fn upgraded_identity(
        _version: u64,
        _identity: serde_json::Value,
    ) -> Result<serde_json::Value, Error> {
        Err(no_identity(Self::NAME))
    }

    #[doc(hidden)]
    fn store_private(&self, _private: &mut Private) -> Result<(), Diagnostic> {
        Ok(())
    }

    #[doc(hidden)]
    fn load_private(&mut self, _private: &Private) -> Result<(), Diagnostic> {
        Ok(())
    }
}

fn no_identity(type_name: &str) -> Error {
    Error::unsupported(
        format!("identify a {type_name}"),
        "objects of this type have no identity",
    )
}

/// The derived half of a data source.
pub trait DataSourceSchema: Block {
    const NAME: &'static str;
    /// As [`ResourceSchema::ALIASES`].
    const ALIASES: &'static [&'static str] = &[];
    const VERSION: u64;

    fn schema() -> Schema {
        Schema {
            version: Self::VERSION,
            ..Self::block().into()
        }
    }
}

/// A provider's configuration. There is nothing to write by hand.
pub trait ProviderConfig: Block {
    const VERSION: u64;
    /// Attributes that environment variables stand in for, in the order in which they are tried.
    const ENVIRONMENT: &'static [(&'static str, &'static [&'static str])];

    fn schema() -> Schema {
        Schema {
            version: Self::VERSION,
            ..Self::block().into()
        }
    }
}

/// A managed object. Every operation may be called at the same time for different objects.
///
/// Values arrive decoded and wholly known: in `planned`, what only the server can tell is `None` (or the type's default).
#[async_trait]
pub trait Resource: ResourceSchema + Send + Sync + 'static {
    /// What `configure` makes: the connection to the API.
    type Client: Send + Sync + 'static;

    /// Checks beyond the schema; the configuration may hold unknown values, which must be let pass.
    fn validate(_config: &Value) -> Diagnostics {
        Diagnostics::new()
    }

    /// Adjusts the plan of a create or update after the schema's rules. `client` is `None` while the provider's
    /// configuration is not known yet.
    async fn plan(
        _client: Option<&Self::Client>,
        _plan: &mut PlanDraft,
        _cx: &Context,
    ) -> Result<(), Diagnostics> {
        Ok(())
    }

    /// Makes the object. `config` is for write-only attributes, which `planned` lacks. When it fails half-way, the
    /// [`Failure`] carries what exists.
    async fn create(
        client: &Self::Client,
        planned: Self,
        config: &Value,
        cx: &Context,
    ) -> Result<Self, Failure<Self>>;

    /// The object as it is; `None` when it is gone.
    async fn read(client: &Self::Client, prior: Self, cx: &Context) -> Result<Option<Self>, Error>;

    /// Changes the object in place.
    async fn update(
        _client: &Self::Client,
        _prior: Self,
        _planned: Self,
        _config: &Value,
        _cx: &Context,
    ) -> Result<Self, Failure<Self>> {
        let error = Error::new(
            format!("change {} in place", Self::NAME),
            "this resource has no attribute that can change without a replacement",
        );
        Err(error
            .remedy("Replace the object: `-replace=ADDRESS`.")
            .into())
    }

    /// Removes the object; an object that is gone already is a success.
    async fn delete(client: &Self::Client, prior: Self, cx: &Context) -> Result<(), Error>;

    /// Making the object once more does what making it once does: a create that was cut off is simply repeated.
    const REPEATABLE: bool = false;

    /// A create tells what identifies its object ([`Context::identified`]) before its first request that changes something: one
    /// that was cut off and has told nothing has made nothing.
    const IDENTIFIES_FIRST: bool = false;

    /// The object that this plan will make, by the name that the plan gives it, so that `read` finds it; `None` where the other
    /// side names it.
    fn named(&self) -> Option<Self> {
        None
    }

    /// What has become of a create that was cut off. Unless a type knows better: an object that had been identified, or that the plan
    /// names, is read, and is whole when it is as it was planned. One that only has the right name may be somebody else's.
    /// Of others nothing can be told, which does no harm where the create is repeatable, or where it would have told who it is.
    async fn resume(
        client: &Self::Client,
        mut cut: Cut<Self>,
        cx: &Context,
    ) -> Result<Resumed<Self>, Error> {
        if (Self::REPEATABLE || Self::IDENTIFIES_FIRST) && cut.known.is_none() {
            return Ok(Resumed::Absent);
        }
        let identified = cut.known.is_some();
        let Some(known) = cut.known.take().or_else(|| cut.planned.named()) else {
            return Ok(Resumed::Unknown);
        };
        Ok(match Self::read(client, known, cx).await? {
            None => Resumed::Absent,
            Some(found) if cut.is_met_by(&found) => Resumed::Complete(found),
            Some(found) if identified => Resumed::Unfit(found),
            Some(_) => Resumed::Unknown,
        })
    }

    /// What a delete that was cut off has left. Unless a type knows better: all, or nothing if `read` finds nothing. A type whose
    /// delete goes on when its object can no longer be read (one that is kept for a while, until it is purged) says
    /// [`Remains::Part`] as long as something is left, and is asked to delete it again.
    async fn remains(
        client: &Self::Client,
        prior: Self,
        cx: &Context,
    ) -> Result<Remains<Self>, Error> {
        let found = Self::read(client, prior, cx).await?;
        Ok(found.map_or(Remains::Nothing, Remains::Whole))
    }

    /// Finds an existing object by the identifier that people give to `import`. It is read right afterwards.
    async fn import(_client: &Self::Client, _id: &str, _cx: &Context) -> Result<Self, Error> {
        Err(Error::unsupported(
            format!("import {}", Self::NAME),
            "stead cannot import this type yet",
        ))
    }

    /// Whether [`Resource::discover`] lists what exists of this type.
    const IS_LISTED: bool = false;

    /// What exists of this type, whoever made it, by as few requests as the API allows.
    async fn discover(_client: &Self::Client, _cx: &Context) -> Result<Vec<Discovered>, Error> {
        Err(Error::unsupported(
            format!("list what there is of {}", Self::NAME),
            "stead cannot list this type yet",
        ))
    }

    /// How objects of other types refer to one of this type: an attribute of theirs, and the attribute of this type that it repeats. What
    /// discovery writes refers so, that objects are made in order when all is built again.
    const REFERRED_AS: &'static [(&'static str, &'static str)] = &[];

    /// What tells the object from all others of its provider, whichever type it is managed as: [`Discovered::key`].
    fn key(&self) -> Option<String> {
        None
    }

    /// Makes an object of another type one of this type, for `moved` blocks between types. Types that are names of one struct need
    /// nothing here.
    fn take_over(object: &ForeignObject<'_>) -> Result<Self, Diagnostics> {
        Err(Diagnostic::error(
            "Unable to Move Resource State",
            format!(
                "A {} cannot become a {}: the provider has no such move. Write a \"removed\" block with destroy = false for the old object, and import it under its new address.",
                object.type_name,
                Self::NAME
            ),
        )
        .into())
    }

    /// Turns a state's attributes of an older schema version into this one's.
    fn upgrade(_version: u64, attributes: serde_json::Value) -> Result<serde_json::Value, Error> {
        Ok(attributes)
    }
}

/// Something to look up.
#[async_trait]
pub trait DataSource: DataSourceSchema + Send + Sync + 'static {
    type Client: Send + Sync + 'static;

    /// Checks beyond the schema; the configuration may hold unknown values, which must be let pass.
    fn validate(_config: &Value) -> Diagnostics {
        Diagnostics::new()
    }

    /// Takes the configuration and gives it back with the computed fields filled in.
    async fn read(client: &Self::Client, config: Self, cx: &Context) -> Result<Self, Error>;
}

/// A failed create or update, with what is known of the object so that it is not lost.
#[derive(Debug)]
pub struct Failure<T> {
    pub error: Error,
    /// The object as far as it exists. `None` means: nothing was made (create), nothing was changed (update).
    pub partial: Option<T>,
    /// The object is fit, and only a wait for what follows failed: the next plan does not replace it.
    pub usable: bool,
}

impl<T> Failure<T> {
    pub fn partial(error: Error, object: T) -> Failure<T> {
        Failure {
            error,
            partial: Some(object),
            usable: false,
        }
    }

    /// The object is whole and stays; what failed is a wait, which an update makes good.
    pub fn usable(error: Error, object: T) -> Failure<T> {
        Failure {
            usable: true,
            ..Failure::partial(error, object)
        }
    }
}

impl<T> From<Error> for Failure<T> {
    fn from(error: Error) -> Self {
        Failure {
            error,
            partial: None,
            usable: false,
        }
    }
}

impl<T> From<Diagnostic> for Failure<T> {
    fn from(diagnostic: Diagnostic) -> Self {
        Error::from(diagnostic).into()
    }
}
