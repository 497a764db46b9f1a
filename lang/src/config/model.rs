//! What one module's configuration says, before anything is evaluated.

use std::path::PathBuf;
use std::sync::Arc;

use indexmap::IndexMap;
use stead_value::addr::{self, InstanceKey, ProviderSource, ResourceMode};
use stead_value::{Diagnostic, Path, SourceRange, Value};

use super::encryption::EncryptionConfig;
use super::source::ModuleSource;
use super::types::TypeConstraint;
use crate::syntax::{Body, Expression, SourceFile};

/// One module directory. Objects keep the order of declaration: files by name, then position.
#[derive(Clone, Debug, Default)]
pub struct Module {
    pub directory: PathBuf,
    /// Every file that was read, for excerpts in messages.
    pub files: Vec<Arc<SourceFile>>,
    /// A file has syntax errors, so that declarations may be missing here.
    pub broken: bool,
    pub terraform: TerraformSettings,
    pub variables: IndexMap<Arc<str>, Variable>,
    pub locals: IndexMap<Arc<str>, Local>,
    pub outputs: IndexMap<Arc<str>, Output>,
    pub providers: IndexMap<ProviderName, ProviderConfig>,
    /// Managed resources, data sources and ephemeral resources.
    pub resources: IndexMap<addr::Resource, Resource>,
    pub calls: IndexMap<Arc<str>, ModuleCall>,
    pub moved: Vec<Moved>,
    pub removed: Vec<Removed>,
    pub imports: Vec<Import>,
    pub checks: IndexMap<Arc<str>, Check>,
}

/// The `terraform` blocks, taken together.
#[derive(Clone, Debug, Default)]
pub struct TerraformSettings {
    pub required_versions: Vec<VersionRequirement>,
    /// By local name.
    pub required_providers: IndexMap<Arc<str>, RequiredProvider>,
    /// Where the first `required_providers` block stands.
    pub required_providers_range: Option<SourceRange>,
    pub backend: Option<Backend>,
    pub encryption: Option<EncryptionConfig>,
    pub provider_metas: Vec<ProviderMeta>,
}

/// `provider_meta "NAME" { … }`: what a module tells a provider about itself.
#[derive(Clone, Debug)]
pub struct ProviderMeta {
    /// The provider's local name.
    pub provider: Arc<str>,
    pub body: Arc<Body>,
    pub range: SourceRange,
}

#[derive(Clone, Debug)]
pub struct VersionRequirement {
    /// Constraints as written: `>= 1.5, < 2.0`.
    pub text: String,
    pub range: SourceRange,
}

#[derive(Clone, Debug)]
pub struct RequiredProvider {
    pub source: ProviderSource,
    pub version: Option<VersionRequirement>,
    /// `configuration_aliases`: configurations that the caller must pass.
    pub aliases: Vec<ProviderName>,
    pub range: SourceRange,
}

/// `backend "KIND" { … }`. Its body may refer to variables and locals (early evaluation).
#[derive(Clone, Debug)]
pub struct Backend {
    pub kind: Arc<str>,
    pub body: Arc<Body>,
    pub range: SourceRange,
}

/// A provider configuration's name within a module: `azurerm`, `azurerm.west`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProviderName {
    pub local: Arc<str>,
    pub alias: Option<Arc<str>>,
}

impl std::fmt::Display for ProviderName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.alias {
            Some(alias) => write!(f, "{}.{alias}", self.local),
            None => f.write_str(&self.local),
        }
    }
}

#[derive(Clone, Debug)]
pub struct ProviderRef {
    pub name: ProviderName,
    /// Which instance of a configuration with `for_each`: `azurerm.west[each.key]`.
    pub key: Option<Expression>,
    pub range: SourceRange,
}

#[derive(Clone, Debug)]
pub struct ProviderConfig {
    pub name: ProviderName,
    /// Without the meta-arguments.
    pub body: Arc<Body>,
    /// The `version` argument of old.
    pub version: Option<VersionRequirement>,
    /// Makes several instances of the configuration, as in OpenTofu.
    pub for_each: Option<Expression>,
    pub range: SourceRange,
}

/// What an author says of a variable or output that is on its way out.
#[derive(Clone, Debug)]
pub struct Deprecated {
    pub message: String,
    pub range: SourceRange,
}

#[derive(Clone, Debug)]
pub struct Variable {
    pub name: Arc<str>,
    pub constraint: TypeConstraint,
    /// Converted to the type, defaults of optional attributes applied; `None` makes the variable required.
    pub default: Option<Value>,
    pub nullable: bool,
    pub sensitive: bool,
    pub ephemeral: bool,
    /// Known before anything is planned, so that a module's `source` may use it.
    pub constant: bool,
    pub description: String,
    pub deprecated: Option<Deprecated>,
    pub validations: Vec<CheckRule>,
    pub range: SourceRange,
}

/// A `condition` with its `error_message`: of validations, pre- and postconditions, and asserts.
#[derive(Clone, Debug)]
pub struct CheckRule {
    pub condition: Expression,
    pub error_message: Expression,
    pub range: SourceRange,
}

#[derive(Clone, Debug)]
pub struct Local {
    pub name: Arc<str>,
    pub value: Expression,
    pub range: SourceRange,
}

#[derive(Clone, Debug)]
pub struct Output {
    pub name: Arc<str>,
    /// What the value is converted to.
    pub constraint: TypeConstraint,
    pub value: Expression,
    pub sensitive: bool,
    pub ephemeral: bool,
    pub description: String,
    pub deprecated: Option<Deprecated>,
    pub depends_on: Vec<DependsOn>,
    pub preconditions: Vec<CheckRule>,
    pub range: SourceRange,
}

/// One entry of `depends_on`.
#[derive(Clone, Debug)]
pub struct DependsOn {
    pub target: crate::expr::Target,
    pub range: SourceRange,
    /// Why it is no reference to a whole object: said when the rest of the configuration reads well.
    pub wrong: Option<Box<Diagnostic>>,
}

/// How many instances an object has.
#[derive(Clone, Debug, Default)]
pub enum Repetition {
    #[default]
    Single,
    Count(Expression),
    ForEach(Expression),
    /// `lifecycle { enabled = … }`: one or none.
    Enabled(Expression),
}

#[derive(Clone, Debug)]
pub struct Resource {
    pub addr: addr::Resource,
    /// Arguments and blocks without the meta-arguments: what the provider's schema describes.
    pub body: Arc<Body>,
    pub repetition: Repetition,
    pub depends_on: Vec<DependsOn>,
    pub provider: Option<ProviderRef>,
    pub lifecycle: Lifecycle,
    /// How provisioners reach the object, unless they say otherwise.
    pub connection: Option<Connection>,
    /// In the order in which they run.
    pub provisioners: Vec<Provisioner>,
    /// The check block that has this data source for itself.
    pub check: Option<Arc<str>>,
    /// Where the type is written.
    pub type_range: SourceRange,
    /// The block's header.
    pub range: SourceRange,
}

/// A `connection` block.
#[derive(Clone, Debug)]
pub struct Connection {
    pub body: Arc<Body>,
    pub range: SourceRange,
}

/// A `provisioner` block.
#[derive(Clone, Debug)]
pub struct Provisioner {
    /// `local-exec`, `remote-exec`, `file`.
    pub kind: Arc<str>,
    pub when: ProvisionerWhen,
    pub on_failure: ProvisionerFailure,
    /// Without `when`, `on_failure` and `connection`.
    pub body: Arc<Body>,
    /// Its arguments win over those of the resource's own connection.
    pub connection: Option<Connection>,
    pub range: SourceRange,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProvisionerWhen {
    #[default]
    Create,
    Destroy,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProvisionerFailure {
    /// The object is tainted, and what depends on it does not run.
    #[default]
    Fail,
    Continue,
}

impl Resource {
    pub fn mode(&self) -> ResourceMode {
        self.addr.mode
    }

    /// The provider configuration that the resource names, or the one that its type implies.
    pub fn provider_name(&self) -> ProviderName {
        self.provider.as_ref().map_or_else(
            || ProviderName {
                local: implied_provider(&self.addr.type_name).into(),
                alias: None,
            },
            |p| p.name.clone(),
        )
    }
}

/// A type name's first word: `null` for `null_resource`.
pub fn implied_provider(type_name: &str) -> &str {
    type_name
        .split_once('_')
        .map_or(type_name, |(first, _)| first)
}

#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    pub create_before_destroy: Option<bool>,
    /// Constant in Terraform; in OpenTofu it may look at whatever is known while planning.
    pub prevent_destroy: Option<Expression>,
    /// `destroy = false`: forget instead of destroying.
    pub destroy: Option<bool>,
    pub ignore_changes: IgnoreChanges,
    pub replace_triggered_by: Vec<Expression>,
    pub preconditions: Vec<CheckRule>,
    pub postconditions: Vec<CheckRule>,
    pub rollout: Option<Rollout>,
}

/// A `rollout` block: what is changed, replaced or removed among the instances of a resource is done some instances at a time.
#[derive(Clone, Debug)]
pub struct Rollout {
    /// A number of instances, or a share of them such as `"25%"`; one unless it is said.
    pub max_in_flight: Option<Expression>,
    /// How long to wait between two steps, such as `"30s"`.
    pub pause: Option<Expression>,
    pub on_failure: RolloutFailure,
    /// Whether instances that do not exist yet come in steps too, and not all at once before the others.
    pub new_instances: bool,
    /// What must succeed between two steps.
    pub health_check: Option<HealthCheck>,
    pub range: SourceRange,
}

/// What becomes of the steps that are left when an instance or the health check fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RolloutFailure {
    #[default]
    Stop,
    Continue,
}

/// A `health_check` block: a provisioner that is run until it succeeds.
#[derive(Clone, Debug)]
pub struct HealthCheck {
    pub check: Arc<Provisioner>,
    /// Between two tries.
    pub interval: Option<Expression>,
    /// When to give up.
    pub timeout: Option<Expression>,
}

impl Rollout {
    /// The values that must be known while planning.
    pub fn settings(&self) -> impl Iterator<Item = &Expression> {
        let health = self.health_check.iter();
        let of_health = health.flat_map(|h| [&h.interval, &h.timeout]);
        [&self.max_in_flight, &self.pause]
            .into_iter()
            .chain(of_health)
            .flatten()
    }

    /// What the health check says: its arguments, and its connection.
    pub fn health_bodies(&self) -> impl Iterator<Item = &Arc<Body>> {
        let health = self.health_check.iter();
        health.flat_map(|h| {
            std::iter::once(&h.check.body).chain(h.check.connection.iter().map(|c| &c.body))
        })
    }
}

#[derive(Clone, Debug, Default)]
pub enum IgnoreChanges {
    #[default]
    None,
    All,
    Paths(Vec<(Path, SourceRange)>),
}

#[derive(Clone, Debug)]
pub struct ModuleCall {
    pub name: Arc<str>,
    /// `None` when it is wrong, which has been reported.
    pub source: Option<Early<ModuleSource>>,
    pub source_range: SourceRange,
    pub version: Option<Early<VersionRequirement>>,
    pub repetition: Repetition,
    pub depends_on: Vec<DependsOn>,
    pub providers: Vec<PassedProvider>,
    /// The values for the child's variables.
    pub arguments: Arc<Body>,
    pub range: SourceRange,
}

/// What must be known before anything is planned: written as it is, or by variables and local values.
#[derive(Clone, Debug)]
pub enum Early<T> {
    Known(T),
    Later(Expression),
}

/// `providers = { child = parent.alias }`.
#[derive(Clone, Debug)]
pub struct PassedProvider {
    pub in_child: ProviderRef,
    pub in_parent: ProviderRef,
}

/// An address as `moved`, `removed` and `import` write it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectAddress {
    pub module: Vec<(Arc<str>, Option<InstanceKey>)>,
    /// `None` names the whole module (instance).
    pub resource: Option<(addr::Resource, Option<InstanceKey>)>,
}

impl ObjectAddress {
    /// The address without instance keys: of the resource or module in the configuration.
    pub fn config_address(&self) -> String {
        let modules = self.module.iter().map(|(name, _)| format!("module.{name}"));
        let resource = self.resource.iter().map(|(r, _)| r.to_string());
        modules.chain(resource).collect::<Vec<_>>().join(".")
    }
}

impl std::fmt::Display for ObjectAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let key = |key: &Option<InstanceKey>| key.clone().unwrap_or(InstanceKey::None);
        for (i, (name, k)) in self.module.iter().enumerate() {
            let dot = if i > 0 { "." } else { "" };
            write!(f, "{dot}module.{name}{}", key(k))?;
        }
        match &self.resource {
            Some((resource, k)) => {
                let dot = if self.module.is_empty() { "" } else { "." };
                write!(f, "{dot}{resource}{}", key(k))
            }
            None => Ok(()),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Moved {
    pub from: ObjectAddress,
    pub to: ObjectAddress,
    pub from_range: SourceRange,
    pub to_range: SourceRange,
    pub range: SourceRange,
}

#[derive(Clone, Debug)]
pub struct Removed {
    pub from: ObjectAddress,
    /// Destroy the objects, not only forget them.
    pub destroy: bool,
    pub connection: Option<Connection>,
    /// What runs before the objects are destroyed.
    pub provisioners: Vec<Provisioner>,
    pub from_range: SourceRange,
    pub range: SourceRange,
}

#[derive(Clone, Debug)]
pub struct Import {
    /// A resource address whose keys may be expressions over `each`.
    pub to: Expression,
    pub id: Option<Expression>,
    pub identity: Option<Expression>,
    pub for_each: Option<Expression>,
    pub provider: Option<ProviderRef>,
    pub range: SourceRange,
}

#[derive(Clone, Debug)]
pub struct Check {
    pub name: Arc<str>,
    /// A data source of its own, not visible outside: it is among the module's resources.
    pub data: Option<addr::Resource>,
    pub asserts: Vec<CheckRule>,
    pub range: SourceRange,
}
