//! What a provider is, and everything that providers share.
//!
//! [`Provider`] is what the engine sees: schemas and operations over [`value::Value`]s. Authors of native providers do not
//! write it: they write structs with `#[derive(Resource)]` and the typed operations of [`trait@Resource`], and the adaptor in
//! this crate turns those into a [`Provider`]. `stead-utility` is a finished example.
//!
//! # A provider on one page
//!
//! ```
//! use std::collections::BTreeMap;
//! use stead_sdk::value::{Diagnostics, Sensitive, Value};
//! use stead_sdk::{
//!     Block, Context, Dialer, Error, Failure, Native, ProviderConfig, ProviderFactory, Resource, async_trait,
//! };
//!
//! /// Doc comments become the schema's descriptions.
//! #[derive(Clone, Debug, ProviderConfig)]
//! struct Config {
//!     /// Where the API is.
//!     #[attr(optional, env = "ACME_ENDPOINT")]
//!     endpoint: Option<String>,
//!     #[attr(optional, sensitive, env = ["ACME_TOKEN", "ACME_API_TOKEN"])]
//!     token: Option<Sensitive<String>>,
//! }
//!
//! /// What `configure` makes and every operation gets.
//! struct Client { http: stead_sdk::Dialer, endpoint: String }
//!
//! #[derive(Clone, Debug, Resource)]
//! #[resource(name = "acme_disk", version = 0)]
//! struct Disk {
//!     /// Known after the creation; until then decoded as `""`. Use `Option<String>` to tell the two apart.
//!     #[attr(computed)]
//!     id: String,
//!     /// A change makes a new disk.
//!     #[attr(required, replace)]
//!     name: String,
//!     #[attr(optional, computed, default = 8)]
//!     size: i64,
//!     #[attr(optional)]
//!     labels: Option<BTreeMap<String, String>>,
//!     /// Never stored: take its value from `config`.
//!     #[attr(optional, write_only)]
//!     passphrase: Option<Sensitive<String>>,
//!     #[attr(optional, unsupported)]
//!     encryption: Option<bool>,
//!     #[attr(block(list, max = 1))]
//!     quota: Option<Quota>,
//!     /// Kept in the state's private bytes, not in the schema.
//!     #[attr(private)]
//!     generation: Option<u64>,
//! }
//!
//! #[derive(Clone, Debug, Block)]
//! struct Quota {
//!     #[attr(required)]
//!     bytes: u64,
//! }
//!
//! #[async_trait]
//! impl Resource for Disk {
//!     type Client = Client;
//!
//!     async fn create(client: &Client, planned: Self, config: &Value, cx: &Context) -> Result<Self, Failure<Self>> {
//!         let secret: Option<Sensitive<String>> = stead_sdk::codec::attribute(config, "passphrase")?;
//!         cx.progress("waiting for the disk");
//!         let disk = Disk { id: format!("{}/{}", client.endpoint, planned.name), ..planned };
//!         if secret.is_some_and(|s| s.expose_secret().len() < 4) {
//!             // The disk exists: hand over what is known of it, so that it is not lost.
//!             let error = Error::new("set the passphrase (PUT /disks/1/key)", "400: too short")
//!                 .remedy("Use at least four characters.")
//!                 .attribute("passphrase");
//!             return Err(Failure::partial(error, disk));
//!         }
//!         Ok(disk)
//!     }
//!
//!     async fn read(_client: &Client, prior: Self, _cx: &Context) -> Result<Option<Self>, Error> {
//!         Ok(Some(prior)) // None when it is gone
//!     }
//!
//!     async fn update(
//!         _client: &Client,
//!         _prior: Self,
//!         planned: Self,
//!         _config: &Value,
//!         _cx: &Context,
//!     ) -> Result<Self, Failure<Self>> {
//!         Ok(planned)
//!     }
//!
//!     async fn delete(_client: &Client, _prior: Self, _cx: &Context) -> Result<(), Error> {
//!         Ok(())
//!     }
//! }
//!
//! async fn connect(config: Config, dialer: Dialer, _cx: Context) -> Result<Client, Diagnostics> {
//!     let endpoint = config.endpoint.ok_or_else(|| Error::missing_setting("endpoint", &["ACME_ENDPOINT"]))?;
//!     Ok(Client { http: dialer, endpoint })
//! }
//!
//! pub fn factory(dialer: &Dialer) -> impl ProviderFactory + use<> {
//!     Native::<Client>::provider::<Config>("acme").configure(connect).resource::<Disk>().build(dialer)
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! // How a test drives it: the harness plans and checks as the engine does.
//! use serde_json::json;
//! use stead_sdk::testing::Harness;
//! let acme = Harness::configured(&factory(&Dialer::direct()), json!({ "endpoint": "acme" })).await.unwrap();
//! let disk = acme.apply("acme_disk", None, json!({ "name": "a", "quota": [{ "bytes": 5 }] })).await.unwrap();
//! assert_eq!(disk.text("id"), "acme/a");
//! assert_eq!(disk.attribute("size").as_i64(), Some(8));
//! let renamed = acme.config("acme_disk", json!({ "name": "b" })).unwrap();
//! let plan = acme.plan("acme_disk", Some(&disk), &renamed).await.unwrap();
//! assert_eq!(plan.requires_replace.len(), 1);
//! # });
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Fields
//!
//! | flag | meaning |
//! | --- | --- |
//! | `required`, `optional`, `computed` | as in the protocol; `optional, computed` together are allowed |
//! | `default = EXPR` | taken when the configuration is silent; a published schema usually has `optional, computed` then |
//! | `replace` | a change needs a new object (also on blocks) |
//! | `sensitive`, `write_only`, `deprecated = "…"` | as in the protocol |
//! | `secret` | holds secrets although the published schema does not say so: never written into a generated configuration |
//! | `unsupported` | in the published schema, refused with a diagnostic when configured (also on blocks) |
//! | `computed(unknown_on_change)` | "known after apply" whenever anything else changes; otherwise the prior value is kept |
//! | `set` | a `Vec` that is a set |
//! | `block(list\|set\|single\|group\|map, min = N, max = N)` | a nested block; with `max = 1` an `Option<T>` (or a `T`) will do |
//! | `nested(list\|set\|single\|map)` | a nested attribute of protocol 6 |
//! | (none of these) on a `Vec<T>` of a derived `T` | a plain `list(object)` attribute, which people may write as blocks |
//! | `name = "type"` | for names that Rust does not allow |
//! | `env = "A"`, `env = ["A", "B"]` | provider configurations: environment variables that stand in |
//! | `one_of("a", "b")`, `range(1..=9)`, `pattern(P)` | what a configured value must be, or every element of a collection; `P` is a [`value::schema::Pattern`] |
//! | `length(1..)`, `keys(P)` | how many characters or elements; what the keys of a map look like |
//! | `conflicts("a")`, `requires("a")`, `exactly_one_of("a", "b")`, `at_least_one_of(…)` | what goes together; all these are checked before a plan and let pass what is not known yet |
//! | `flatten` | the fields of this struct (a `Block`) are the schema's own: what several types have in common |
//! | `private` | resources: any serde type, kept in the private bytes |
//!
//! Types: `String`, `bool`, `i64`, `u64`, `f64`, [`Dynamic`] (any type), derived structs, and `Option`, `Vec`, `BTreeSet`,
//! `BTreeMap<String, _>`, `Sensitive`, `Box` of them. A bare type that is not `required` decodes null as its `Default` (or
//! the flag `default`); null and an empty collection are never a difference. `#[resource(…, legacy)]` says that the
//! published provider is of the older kind (SDKv2): then null and `""`, `0`, `false` are no difference either, and optional
//! fields may be bare.
//!
//! `#[resource(name = "…", alias = "…")]`: a type that has two names, as after a renaming, is one struct, and `moved` blocks lead from
//! one name to the other.
//!
//! # Requests
//!
//! How a struct's fields are the parameters of a request, and are read from its answer: [`form`].
//!
//! # Identities
//!
//! Where the published provider gives a type's objects an identity, `#[resource(…, identity = T)]` names a struct that derives
//! `Block` and says as an [`Identity`] how it is made from an object, and by which id an object with it is imported. The adaptor does
//! the rest: the identity is part of the schema, goes into states with every object, and stands in for the id in `import` blocks.
//!
//! # Schema equality
//!
//! [`testing::provider_table`] writes schemas as text; `tools/schema_table.py` writes the same text from the published
//! provider's `terraform providers schema -json`. Keep that file beside your tests and compare.
//!
//! # Connections, waits, errors
//!
//! Every connection comes from the [`Dialer`]: [`Dialer::http`] and [`Dialer::send`], [`Dialer::grpc_channel`],
//! [`Dialer::websocket`], [`Dialer::ssh`], `kube::Cluster` (feature `kube`), the official Azure crates (`azure`, feature `azure`), buckets (`s3`, feature `s3`), or [`Dialer::tls`] and [`Dialer::tcp`] beneath them. Wait with [`wait::until`],
//! try again with [`retry::with_backoff`]. What does not stop an operation is a [`Context::warn`]. An [`Error`] says what
//! was asked, what the server said and what to do.

// The derives name this crate from outside and from within.
extern crate self as stead_sdk;

#[cfg(feature = "azure")]
pub mod azure;
pub mod codec;
mod context;
mod dial;
mod discovery;
mod ephemeral;
mod error;
mod field;
pub mod form;
mod identity;
#[cfg(feature = "kube")]
pub mod kube;
mod lazy;
mod native;
mod plan;
#[cfg(any(feature = "azure-blob", feature = "s3"))]
mod portions;
mod private;
mod provider;
mod provisioner;
mod resource;
mod resume;
pub mod retry;
#[cfg(feature = "s3")]
pub mod s3;
pub mod sending;
mod settings;
pub mod testing;
pub mod wait;

pub use async_trait::async_trait;
pub use stead_sdk_derive::{Block, DataSource, Form, ProviderConfig, Resource};
pub use stead_value as value;

pub use context::{Context, Progress, ProgressSink};
pub use dial::{
    ClientIdentity, Counters, Dialer, Environment, Fingerprint, HostKeyPolicy, HttpOptions, Roots,
    Socks5, Ssh, SshAuth, SshOptions, SshOutput, SshStream, Stream, TlsOptions, WebSocket, chain,
    http_error, init_crypto, redact_url, shell_quote,
};
pub use discovery::Discovered;
pub use ephemeral::{Ephemeral, Lease};
pub use error::{Error, ErrorKind};
pub use field::{Dynamic, Field};
pub use identity::{Identity, ImportBy, describe_identity};
pub use lazy::lazily;
pub use native::{Definition, Native, NativeFactory, NoConfig, Unconfigured};
pub use plan::{PlanDraft, proposed_new};
pub use private::Private;
pub use provider::{
    ApplyRequest, ApplyResponse, ForeignObject, Found, Operation, PlanRequest, PlanResponse,
    Provider, ProviderFactory, ReadResponse, ResumeRequest,
};
pub use provisioner::{Connection, ProvisionOutput, Provisioner, Provisioning, connection_schema};
pub use resource::{
    Block, DataSource, DataSourceSchema, Failure, ProviderConfig, Resource, ResourceSchema,
};
pub use resume::{Cut, Identify, Remains, Resumed};
pub use settings::settings;
