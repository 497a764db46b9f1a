//! The JSON of state format version 4.

use std::collections::BTreeMap;
use std::path::Path as FilePath;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json, json};
use stead_value::addr::{InstanceKey, ModuleInstance, Resource, ResourceInstance, ResourceMode};
use stead_value::{Path, Step, Value};

use crate::address::{ProviderConfigRef, parse_module_instance, parse_provider};
use crate::error::Problem;
use crate::model::{
    Identity, InstanceObjects, Object, ObjectStatus, OutputValue, ResourceId, ResourceObjects,
    State,
};
use crate::{Error, Result, upgrade};

/// The field of an object whose identity is missing, although its version is there.
const IDENTITY_SCHEMA_VERSION: &str = "identity_schema_version";

#[derive(Serialize, Deserialize)]
struct FileV4 {
    version: u64,
    #[serde(default)]
    terraform_version: String,
    #[serde(default)]
    serial: u64,
    #[serde(default)]
    lineage: String,
    #[serde(default, deserialize_with = "or_nothing")]
    outputs: BTreeMap<String, OutputV4>,
    #[serde(default, deserialize_with = "or_nothing")]
    resources: Vec<ResourceV4>,
    check_results: Option<Box<RawValue>>,
    #[serde(flatten)]
    unknown_fields: Map<String, Json>,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct OutputV4 {
    value: Box<RawValue>,
    #[serde(rename = "type")]
    ty: Json,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    sensitive: bool,
}

impl From<&OutputValue> for OutputV4 {
    fn from(output: &OutputValue) -> OutputV4 {
        OutputV4 {
            value: own(&output.value),
            ty: output.ty.clone(),
            sensitive: output.sensitive,
        }
    }
}

impl From<OutputV4> for OutputValue {
    fn from(output: OutputV4) -> OutputValue {
        OutputValue {
            value: output.value.into(),
            ty: output.ty,
            sensitive: output.sensitive,
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct ResourceV4 {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    module: String,
    mode: ModeV4,
    #[serde(rename = "type")]
    type_name: String,
    name: String,
    /// Missing where the instances name their own.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    provider: String,
    #[serde(default, deserialize_with = "or_nothing")]
    instances: Vec<InstanceV4>,
    #[serde(flatten)]
    unknown_fields: Map<String, Json>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ModeV4 {
    Managed,
    Data,
}

impl ModeV4 {
    fn word(self) -> &'static str {
        match self {
            ModeV4::Managed => "managed",
            ModeV4::Data => "data",
        }
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct InstanceV4 {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    index_key: Option<Json>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deposed: Option<String>,
    /// An instance of a provider configuration with `for_each`, as OpenTofu records it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
    #[serde(default)]
    schema_version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attributes: Option<Box<RawValue>>,
    /// Attributes whose meaning a schema tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attributes_flat: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "or_nothing")]
    sensitive_attributes: Vec<Vec<Json>>,
    /// Terraform writes it for objects without an identity, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    identity_schema_version: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    identity: Option<Map<String, Json>>,
    #[serde(flatten)]
    unknown_fields: Map<String, Json>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    private: Option<String>,
    #[serde(
        default,
        deserialize_with = "or_nothing",
        skip_serializing_if = "Vec::is_empty"
    )]
    dependencies: Vec<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    create_before_destroy: bool,
}

/// `null` where a list or a map may stand means an empty one.
fn or_nothing<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> std::result::Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// Reads a state file's bytes. `origin` is only for messages.
pub(crate) fn parse(bytes: &[u8], origin: &FilePath) -> Result<State> {
    let malformed = |reason: String| Error::Malformed {
        path: origin.to_owned(),
        reason,
    };
    // Most are of today's version and well: they are gone through once.
    let file = match serde_json::from_slice::<FileV4>(bytes) {
        Ok(file) if file.version == 4 => file,
        _ => read_other(bytes)?,
    };
    check_version(&file.terraform_version)?;
    let mut resources = Vec::with_capacity(file.resources.len());
    for resource in file.resources {
        resources.push(read_resource(resource).map_err(malformed)?);
    }
    // As they are written: then a tree is made that is full.
    resources.sort_by(|(one, _), (other, _)| one.cmp(other));
    if let Some([(twice, _), _]) = resources.array_windows().find(|[(a, _), (b, _)]| a == b) {
        return Err(malformed(format!("{} stands in it twice", twice.resource)));
    }
    Ok(State {
        terraform_version: file.terraform_version,
        serial: file.serial,
        lineage: file.lineage,
        outputs: file
            .outputs
            .into_iter()
            .map(|(name, output)| (name, output.into()))
            .collect(),
        resources: resources.into_iter().collect(),
        check_results: file.check_results.map(Arc::from),
        unknown_fields: file.unknown_fields,
    })
}

/// Reads a state of an older version, or finds out what is wrong.
fn read_other(bytes: &[u8]) -> Result<FileV4> {
    let read = match version_of(bytes)? {
        4 => serde_json::from_slice(bytes),
        // From bytes: raw values cannot be taken out of a document.
        old => serde_json::from_str(&upgrade::to_v4(bytes, old)?.to_string()),
    };
    Ok(read.map_err(|e| Problem::structure(&e))?)
}

/// The version of a state's format, if it is one that can be read.
fn version_of(bytes: &[u8]) -> Result<u64> {
    #[derive(Deserialize)]
    struct Sniffed {
        version: Option<Json>,
        terraform_version: Option<Json>,
    }
    const MISSING: &str = "The state file does not have a \"version\" attribute, which is required to identify the format version.";
    if bytes.starts_with(b"tfstate") {
        return Err(Problem::unsupported("The state is stored in a legacy binary format that is not supported since Terraform v0.7. To continue, first upgrade the state using Terraform 0.6.16 or earlier.").into());
    }
    let sniffed: Sniffed = serde_json::from_slice(bytes).map_err(|error| Error::Unusable {
        problems: vec![
            Problem::unsupported(if error.is_data() {
                let first = bytes.iter().find(|b| !b.is_ascii_whitespace());
                let kind = match first {
                    Some(b'[') => "array",
                    Some(b'"') => "string",
                    Some(b't' | b'f') => "bool",
                    _ => "number",
                };
                format!(
                    "The version in the state file is {kind}. A positive whole number is required."
                )
            } else {
                format!(
                    "The state file could not be parsed as JSON: syntax error at byte offset {}.",
                    offset(bytes, &error)
                )
            }),
            Problem::unsupported(MISSING),
        ],
    })?;
    let version = match sniffed.version {
        None | Some(Json::Null) => return Err(Problem::unsupported(MISSING).into()),
        Some(version) => version,
    };
    let creator = sniffed.terraform_version.as_ref().and_then(Json::as_str);
    match version.as_u64() {
        Some(0) => Err(Problem::unsupported("The state file uses JSON syntax but has a version number of zero. There was never a JSON-based state format zero, so this state file is invalid and cannot be processed.").into()),
        Some(version @ 1..=4) => Ok(version),
        Some(version) => {
            let by = match creator.filter(|v| is_version(v)) {
                Some(creator) => format!("This state file was created by Terraform {creator}."),
                None => "This state file may have been created by a newer version of Terraform.".into(),
            };
            Err(Problem::unsupported(format!(
                "The state file uses format version {version}, which is not supported by stead. {by}"
            ))
            .into())
        }
        None => {
            let kind = match &version {
                Json::Number(number) => format!("number {number}"),
                Json::String(_) => "string".into(),
                Json::Bool(_) => "bool".into(),
                Json::Array(_) => "array".into(),
                Json::Object(_) | Json::Null => "object".into(),
            };
            Err(Problem::unsupported(format!(
                "The version in the state file is {kind}. A positive whole number is required."
            ))
            .into())
        }
    }
}

/// How many bytes were read before a syntax error was seen.
fn offset(bytes: &[u8], error: &serde_json::Error) -> usize {
    let before: usize = bytes
        .split_inclusive(|b| *b == b'\n')
        .take(error.line().saturating_sub(1))
        .map(<[u8]>::len)
        .sum();
    before + error.column()
}

fn check_version(version: &str) -> Result<()> {
    if version.is_empty() || is_version(version) {
        return Ok(());
    }
    Err(Problem {
        summary: "Invalid Terraform version string",
        detail: format!("State file claims to have been written by Terraform version {version:?}, which is not a valid version string."),
    }
    .into())
}

/// Numbers and dots, with `-beta1` or `+build` behind them.
fn is_version(text: &str) -> bool {
    let text = text.strip_prefix('v').unwrap_or(text);
    let numbers = text.split(['-', '+']).next().unwrap_or_default();
    let numeric = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    numbers.split('.').all(numeric)
}

pub(crate) fn read_resource(
    resource: ResourceV4,
) -> std::result::Result<(ResourceId, ResourceObjects), String> {
    let name = format!("{}.{}", resource.type_name, resource.name);
    let module: ModuleInstance = parse_module_instance(&resource.module)
        .ok_or_else(|| format!("{name} has the module address {:?}", resource.module))?;
    let parse = |text: &str| {
        parse_provider(text).ok_or_else(|| format!("{name} has the provider address {text:?}"))
    };
    let shared = match (resource.provider.as_str(), resource.instances.first()) {
        ("", Some(instance)) => parse(instance.provider.as_deref().unwrap_or_default())?,
        (text, _) => parse(text)?,
    };
    let provider = shared.config();
    let mode = match resource.mode {
        ModeV4::Managed => ResourceMode::Managed,
        ModeV4::Data => ResourceMode::Data,
    };
    let id = ResourceId {
        module,
        resource: Resource {
            mode,
            type_name: resource.type_name.into(),
            name: resource.name.into(),
        },
    };
    // Written by Terraform 0.12: the keys themselves say it, and nobody writes it any more.
    let mut unknown_fields = resource.unknown_fields;
    unknown_fields.remove("each");
    let mut instances: BTreeMap<InstanceKey, Box<InstanceObjects>> = BTreeMap::new();
    for instance in resource.instances {
        let key = match &instance.index_key {
            None | Some(Json::Null) => InstanceKey::None,
            Some(Json::String(s)) => InstanceKey::String(s.as_str().into()),
            Some(Json::Number(n)) => match n.as_u64() {
                Some(i) => InstanceKey::Int(i),
                None => return Err(format!("{name} has the instance key {n}")),
            },
            Some(other) => return Err(format!("{name} has the instance key {other}")),
        };
        let deposed = instance.deposed.clone();
        let own = instance.provider.as_deref().map(parse).transpose()?;
        let own = own.unwrap_or_else(|| shared.clone());
        let object = read_object(instance).map_err(|e| format!("{name}: {e}"))?;
        let slot = instances.entry(key).or_default();
        slot.provider = (own != provider).then(|| Arc::new(own));
        match deposed {
            Some(key) => {
                slot.deposed.insert(key, object);
            }
            None if slot.current.is_some() => {
                return Err(format!("{name} has two objects for one instance"));
            }
            None => slot.current = Some(object),
        }
    }
    Ok((
        id,
        ResourceObjects {
            provider,
            instances,
            unknown_fields,
        },
    ))
}

fn read_object(instance: InstanceV4) -> std::result::Result<Object, String> {
    let is_flat = instance.attributes.is_none() && instance.attributes_flat.is_some();
    let attributes = match instance.attributes.or(instance.attributes_flat) {
        Some(raw) => Arc::from(raw),
        None => empty_attributes()?,
    };
    let private = match instance.private {
        Some(text) => BASE64.decode(text).map_err(|e| format!("private: {e}"))?,
        None => Vec::new(),
    };
    let mut unknown_fields = instance.unknown_fields;
    let identity = match (instance.identity, instance.identity_schema_version) {
        (Some(attributes), version) => Some(Box::new(Identity {
            schema_version: version.unwrap_or_default(),
            attributes,
        })),
        // Says nothing, and is written back as it came.
        (None, Some(version)) => {
            unknown_fields.insert(IDENTITY_SCHEMA_VERSION.into(), version.into());
            None
        }
        (None, None) => None,
    };
    Ok(Object {
        status: match instance.status.as_deref() {
            None | Some("") => ObjectStatus::Ready,
            Some("tainted") => ObjectStatus::Tainted,
            Some(other) => return Err(format!("unknown status {other:?}")),
        },
        schema_version: instance.schema_version,
        attributes,
        is_flat,
        sensitive_attributes: instance
            .sensitive_attributes
            .iter()
            .map(|steps| read_path(steps))
            .collect::<Option<_>>()
            .ok_or("a sensitive path has an unknown kind of step")?,
        private,
        dependencies: instance.dependencies,
        create_before_destroy: instance.create_before_destroy,
        identity,
        unknown_fields,
    })
}

fn empty_attributes() -> std::result::Result<Arc<RawValue>, String> {
    RawValue::from_string("{}".into())
        .map(Arc::from)
        .map_err(|e| e.to_string())
}

fn read_path(steps: &[Json]) -> Option<Path> {
    steps
        .iter()
        .map(|step| {
            let value = step.get("value")?;
            match step.get("type")?.as_str()? {
                "get_attr" => Some(Step::Attr(value.as_str()?.into())),
                "index" => {
                    let key = value.get("value")?;
                    match value.get("type")?.as_str()? {
                        "string" => Some(Step::Index(Value::string(key.as_str()?))),
                        "number" => Some(Step::Index(Value::number(key.as_i64()?))),
                        _ => None,
                    }
                }
                _ => None,
            }
        })
        .collect::<Option<Vec<_>>>()
        .map(Path)
}

/// A step into a set cannot be written; the path ends before it, so that the whole set is sensitive.
fn write_path(path: &Path) -> Vec<Json> {
    let mut out = Vec::new();
    for step in path.steps() {
        match step {
            Step::Attr(name) => out.push(json!({"type": "get_attr", "value": &**name})),
            Step::Index(key) => {
                if let Some(s) = key.as_str() {
                    out.push(json!({"type": "index", "value": {"value": s, "type": "string"}}));
                } else if let Some(i) = key.as_i64() {
                    out.push(json!({"type": "index", "value": {"value": i, "type": "number"}}));
                } else {
                    break;
                }
            }
        }
    }
    out
}

/// Writes a state as Terraform does: two spaces, a final newline, a fixed order.
pub(crate) fn render(state: &State) -> serde_json::Result<Vec<u8>> {
    let mut resources: Vec<ResourceV4> = state
        .resources
        .iter()
        .map(|(id, r)| write_resource(id, r))
        .collect();
    // By the module's text and the mode's word, as Terraform sorts: `module.a[10]` stands before `module.a[2]`.
    resources.sort_by(|a, b| (&a.module, a.mode.word()).cmp(&(&b.module, b.mode.word())));
    let file = FileV4 {
        version: 4,
        terraform_version: state.terraform_version.clone(),
        serial: state.serial,
        lineage: state.lineage.clone(),
        outputs: state
            .outputs
            .iter()
            .map(|(name, output)| (name.clone(), OutputV4::from(output)))
            .collect(),
        resources,
        check_results: state.check_results.as_deref().map(own),
        unknown_fields: state.unknown_fields.clone(),
    };
    // Raw attributes are compact or indented as they came; a pass through `Json` gives the whole file one form.
    let mut bytes = serde_json::to_vec_pretty(&serde_json::to_value(&file)?)?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn own(raw: &RawValue) -> Box<RawValue> {
    raw.to_owned()
}

fn write_resource(id: &ResourceId, resource: &ResourceObjects) -> ResourceV4 {
    // One instance with a provider of its own: all say theirs, and the resource says none.
    let apart = resource.instances.values().any(|i| i.provider.is_some());
    let instances = resource.instances.iter();
    ResourceV4 {
        instances: instances
            .flat_map(|(key, objects)| {
                let own = apart.then(|| resource.provider_of(objects));
                write_keyed(key, objects, own)
            })
            .collect(),
        unknown_fields: resource.unknown_fields.clone(),
        ..without_instances(id, (!apart).then_some(&resource.provider))
    }
}

fn without_instances(id: &ResourceId, provider: Option<&ProviderConfigRef>) -> ResourceV4 {
    ResourceV4 {
        module: id.module.to_string(),
        mode: match id.resource.mode {
            ResourceMode::Data => ModeV4::Data,
            // Nothing records an ephemeral object.
            ResourceMode::Managed | ResourceMode::Ephemeral => ModeV4::Managed,
        },
        type_name: id.resource.type_name.to_string(),
        name: id.resource.name.to_string(),
        provider: provider.map(ToString::to_string).unwrap_or_default(),
        instances: Vec::new(),
        unknown_fields: Map::new(),
    }
}

/// A resource with the objects of one instance only.
pub(crate) fn write_instance(
    address: &ResourceInstance,
    provider: &ProviderConfigRef,
    objects: &InstanceObjects,
) -> ResourceV4 {
    ResourceV4 {
        instances: write_keyed(&address.key, objects, objects.provider.as_deref()).collect(),
        ..without_instances(
            &ResourceId::of(address),
            objects.provider.is_none().then_some(provider),
        )
    }
}

fn write_keyed<'s>(
    key: &'s InstanceKey,
    objects: &'s InstanceObjects,
    provider: Option<&'s ProviderConfigRef>,
) -> impl Iterator<Item = InstanceV4> + use<'s> {
    let current = objects.current.iter().map(|object| (None, object));
    let deposed = objects.deposed.iter().map(|(key, o)| (Some(key), o));
    current
        .chain(deposed)
        .map(move |(deposed, object)| InstanceV4 {
            provider: provider.map(ToString::to_string),
            ..write_object(key, deposed, object)
        })
}

fn write_object(key: &InstanceKey, deposed: Option<&String>, object: &Object) -> InstanceV4 {
    let attributes = own(&object.attributes);
    let (attributes, attributes_flat) = if object.is_flat {
        (None, Some(attributes))
    } else {
        (Some(attributes), None)
    };
    let identity = object.identity.as_deref();
    let mut unknown_fields = object.unknown_fields.clone();
    let without = unknown_fields.remove(IDENTITY_SCHEMA_VERSION);
    let identity_schema_version = match identity {
        Some(identity) => Some(identity.schema_version),
        None => without.and_then(|version| version.as_u64()),
    };
    InstanceV4 {
        index_key: match key {
            InstanceKey::None => None,
            InstanceKey::Int(i) => Some(json!(i)),
            InstanceKey::String(s) => Some(json!(&**s)),
        },
        status: (object.status == ObjectStatus::Tainted).then(|| "tainted".to_owned()),
        deposed: deposed.cloned(),
        provider: None,
        schema_version: object.schema_version,
        attributes,
        attributes_flat,
        sensitive_attributes: object.sensitive_attributes.iter().map(write_path).collect(),
        private: (!object.private.is_empty()).then(|| BASE64.encode(&object.private)),
        dependencies: object.dependencies.clone(),
        create_before_destroy: object.create_before_destroy,
        identity_schema_version,
        identity: identity.map(|identity| identity.attributes.clone()),
        unknown_fields,
    }
}

/// Reads a state from bytes that are not in a file of their own; `origin` is only for messages.
pub fn from_bytes(bytes: &[u8], origin: &FilePath) -> Result<State> {
    parse(bytes, origin)
}

/// A state as the bytes of a file.
pub fn to_bytes(state: &State) -> serde_json::Result<Vec<u8>> {
    render(state)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = r#"{"version":4,"terraform_version":"1.11.4","serial":3,"lineage":"l","outputs":{"o":{"value":[1],"type":["list","number"],"sensitive":true}},"resources":[{"module":"module.m[\"k\"]","mode":"managed","type":"t","name":"n","each":"map","provider":"provider[\"registry.terraform.io/hashicorp/null\"].x","instances":[{"index_key":"a","status":"tainted","schema_version":1,"attributes":{"id":"1"},"sensitive_attributes":[[{"type":"get_attr","value":"id"}]],"identity":{"id":"1"},"identity_schema_version":0,"private":"eA==","dependencies":["t.m"],"create_before_destroy":true},{"index_key":0,"deposed":"01234567","schema_version":0,"attributes":{}}],"later":{"b":1}}],"check_results":null,"new_field":[true]}"#;

    fn read(bytes: &[u8]) -> Result<State> {
        parse(bytes, FilePath::new("sample"))
    }

    #[test]
    fn what_is_read_is_written_and_read_again() {
        let first = render(&read(SAMPLE.as_bytes()).expect("a state")).expect("bytes");
        let second = render(&read(&first).expect("a state")).expect("bytes");
        assert_eq!(first, second);
        let text = String::from_utf8(first).expect("text");
        for kept in ["identity", "new_field", "later", "eA==", "01234567"] {
            assert!(text.contains(kept), "{kept}");
        }
    }

    #[test]
    fn an_identity_is_read_with_its_version_and_a_version_alone_is_none() {
        let state = |fields: &str| {
            let text = format!(
                r#"{{"version":4,"resources":[{{"mode":"managed","type":"t","name":"n","provider":"provider[\"registry.terraform.io/a/b\"]","instances":[{{"schema_version":0,"attributes":{{}}{fields}}}]}}]}}"#
            );
            read(text.as_bytes()).expect("a state")
        };
        let identity = |state: &State| {
            let (_, object, _) = state.current_objects().next().expect("an object");
            object.identity.as_deref().cloned()
        };
        let written = |state: &State| {
            let written: Json =
                serde_json::from_slice(&render(state).expect("bytes")).expect("JSON");
            let instance = &written["resources"][0]["instances"][0];
            (
                instance.get("identity").cloned(),
                instance.get("identity_schema_version").cloned(),
            )
        };
        let named = |version| Identity {
            schema_version: version,
            attributes: json!({"id": "i"}).as_object().cloned().unwrap_or_default(),
        };
        for (fields, found, back) in [
            ("", None, (None, None)),
            // As Terraform writes it for every object.
            (
                r#","identity_schema_version":0"#,
                None,
                (None, Some(json!(0))),
            ),
            (
                r#","identity":{"id":"i"}"#,
                Some(named(0)),
                (Some(json!({"id": "i"})), Some(json!(0))),
            ),
            (
                r#","identity_schema_version":2,"identity":{"id":"i"}"#,
                Some(named(2)),
                (Some(json!({"id": "i"})), Some(json!(2))),
            ),
        ] {
            let state = state(fields);
            assert_eq!(identity(&state), found, "{fields}");
            assert_eq!(written(&state), back, "{fields}");
        }
        assert!(!state("").says_the_same(&state(r#","identity":{"id":"i"}"#)));
    }

    #[test]
    fn instances_keep_their_own_provider() {
        let text = r#"{"version":4,"terraform_version":"1.11.4","serial":1,"lineage":"l","resources":[{"mode":"managed","type":"t","name":"n","instances":[{"index_key":"a","provider":"provider[\"registry.opentofu.org/a/b\"].x[\"a\"]","schema_version":0,"attributes":{}},{"index_key":"b","provider":"provider[\"registry.opentofu.org/a/b\"].x[\"b\"]","schema_version":0,"attributes":{}}]}]}"#;
        let state = read(text.as_bytes()).expect("a state");
        let providers: Vec<String> = state
            .current_objects()
            .map(|(_, _, provider)| provider.to_string())
            .collect();
        let named = |key| format!("provider[\"registry.opentofu.org/a/b\"].x[\"{key}\"]");
        assert_eq!(providers, [named("a"), named("b")]);
        let written: Json = serde_json::from_slice(&render(&state).expect("bytes")).expect("JSON");
        let resource = &written["resources"][0];
        assert_eq!(resource.get("provider"), None);
        assert_eq!(resource["instances"][1]["provider"], named("b").as_str());
    }

    #[test]
    fn a_damaged_state_is_refused_and_not_a_panic() {
        let bytes = SAMPLE.as_bytes();
        for end in 0..bytes.len() {
            let cut = bytes.get(..end).unwrap_or_default();
            assert!(read(cut).is_err(), "cut at {end}");
        }
        for at in 0..bytes.len() {
            for byte in [b'"', b'{', b']', b'0', b',', 0xff] {
                let mut changed = bytes.to_vec();
                changed[at] = byte;
                // Some changes make another state; none ends the process, and what is read can be written.
                if let Ok(state) = read(&changed) {
                    assert!(render(&state).is_ok());
                }
            }
        }
        for text in [
            "",
            "null",
            "[]",
            "4",
            "{}",
            r#"{"version":5}"#,
            r#"{"version":"4"}"#,
        ] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
    }
}
