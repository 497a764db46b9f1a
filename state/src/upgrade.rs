//! State formats 1 to 3, of Terraform before 0.12, as version 4. Attributes stay a flat map of texts in them until a provider's
//! schema says what they mean.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use crate::error::Problem;

/// Versions 1 to 3 differ in what is in them, hardly in their shape.
#[derive(Deserialize)]
struct Old {
    #[serde(default)]
    terraform_version: Option<String>,
    #[serde(default)]
    serial: i64,
    #[serde(default)]
    lineage: String,
    #[serde(default)]
    modules: Option<Vec<OldModule>>,
}

#[derive(Deserialize)]
struct OldModule {
    path: Option<Vec<String>>,
    outputs: Option<BTreeMap<String, Json>>,
    resources: Option<BTreeMap<String, OldResource>>,
}

#[derive(Deserialize)]
struct OldResource {
    primary: Option<OldInstance>,
    deposed: Option<Vec<OldInstance>>,
    #[serde(default)]
    provider: String,
}

#[derive(Deserialize)]
struct OldInstance {
    #[serde(default)]
    id: String,
    attributes: Option<BTreeMap<String, String>>,
    meta: Option<Map<String, Json>>,
    #[serde(default)]
    tainted: bool,
}

/// A state of an older version as a document of version 4.
pub(crate) fn to_v4(bytes: &[u8], version: u64) -> Result<Json, Problem> {
    let old: Old = serde_json::from_slice(bytes).map_err(|e| Problem::structure(&e))?;
    upgrade(old, version).map_err(|why| Problem {
        summary: "State format upgrade failed",
        detail: format!(
            "Error upgrading state file format from version {version} to version {}: {why}.",
            if version == 3 { 4 } else { version + 1 }
        ),
    })
}

fn upgrade(old: Old, version: u64) -> Result<Json, String> {
    if old.serial < 0 {
        return Err("state has serial less than zero, which is invalid".into());
    }
    let mut outputs = Map::new();
    let mut resources = Vec::new();
    for module in old.modules.unwrap_or_default() {
        let path = module.path.filter(|path| !path.is_empty());
        let path = path.unwrap_or_else(|| vec!["root".into()]);
        let address = module_address(&path)?;
        if address.is_empty() {
            for (name, output) in module.outputs.unwrap_or_default() {
                outputs.insert(name, upgrade_output(output));
            }
        }
        // What was called a resource is an instance now.
        let mut gathered: BTreeMap<(bool, String, String), Json> = BTreeMap::new();
        for (name, mut resource) in module.resources.unwrap_or_default() {
            let legacy = LegacyAddress::parse(&name)?;
            if version < 3 {
                let deposed = resource.deposed.iter_mut().flatten();
                for instance in resource.primary.iter_mut().chain(deposed) {
                    mark_maps(instance.attributes.get_or_insert_default());
                }
            }
            let key = (legacy.data, legacy.type_name.clone(), legacy.name.clone());
            let entry = match gathered.get_mut(&key) {
                Some(entry) => entry,
                None => {
                    let provider = provider(&resource.provider, &path, &legacy)?;
                    gathered.entry(key).or_insert(json!({
                        "module": address,
                        "mode": if legacy.data { "data" } else { "managed" },
                        "type": legacy.type_name,
                        "name": legacy.name,
                        "provider": provider,
                        "instances": [],
                    }))
                }
            };
            if let Some(Json::Array(instances)) = entry.get_mut("instances") {
                instances.extend(upgrade_instances(resource, legacy.index));
            }
        }
        resources.extend(gathered.into_values());
    }
    Ok(json!({
        "version": 4,
        "terraform_version": old.terraform_version.filter(|v| !v.is_empty()).unwrap_or_else(|| "0.0.0".into()),
        "serial": old.serial,
        "lineage": old.lineage,
        "outputs": outputs,
        "resources": resources,
        "check_results": null,
    }))
}

fn module_address(path: &[String]) -> Result<String, String> {
    let names = match path {
        [root, names @ ..] if root == "root" => names,
        _ => return Err(format!("state contains invalid module path {path:?}")),
    };
    let identifier = |name: &str| {
        let mut chars = name.chars();
        chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
            && chars.all(|c| c.is_alphanumeric() || c == '_' || c == '-')
    };
    if let Some(name) = names.iter().find(|name| !identifier(name)) {
        return Err(format!(
            "state contains invalid module path {path:?}: {name:?} is not a valid identifier; rename it in Terraform 0.11 before upgrading to Terraform 0.12"
        ));
    }
    let steps: Vec<String> = names.iter().map(|name| format!("module.{name}")).collect();
    Ok(steps.join("."))
}

/// `data.TYPE.NAME.INDEX`, of which the first and the last may be missing.
struct LegacyAddress {
    data: bool,
    type_name: String,
    name: String,
    index: Option<u64>,
}

impl LegacyAddress {
    fn parse(text: &str) -> Result<LegacyAddress, String> {
        let wrong = || format!("invalid internal resource address format: {text}");
        let mut parts: Vec<&str> = text.split('.').collect();
        let data = parts.len() > 2 && parts.first() == Some(&"data");
        if data {
            parts.remove(0);
        }
        let (type_name, name, index) = match parts.as_slice() {
            [type_name, name] => (type_name, name, None),
            [type_name, name, index] => (type_name, name, Some(*index)),
            _ => return Err(wrong()),
        };
        let index = match index {
            None => None,
            Some(digits) => Some(digits.parse().map_err(|_| {
                format!("error parsing resource address {text:?}: {digits:?} is no index")
            })?),
        };
        Ok(LegacyAddress {
            data,
            type_name: (*type_name).to_owned(),
            name: (*name).to_owned(),
            index,
        })
    }
}

/// A provider's address as version 4 first had it: without saying whose provider it is.
fn provider(given: &str, path: &[String], resource: &LegacyAddress) -> Result<String, String> {
    if given.contains("${") {
        return Err(format!(
            "invalid provider config reference {given:?} for {}.{}: this alias seems to contain a template interpolation sequence, which was not supported but also not error-checked in Terraform 0.11. To proceed, rename the associated provider alias to a valid identifier and apply the change with Terraform 0.11 before upgrading to Terraform 0.12",
            resource.type_name, resource.name
        ));
    }
    if given.contains("provider.") {
        return Ok(given.to_owned());
    }
    let implied = resource.type_name.split('_').next().unwrap_or_default();
    let local = if given.is_empty() { implied } else { given };
    let modules = path.iter().skip(1);
    let modules: String = modules.map(|name| format!("module.{name}.")).collect();
    Ok(format!("{modules}provider.{local}"))
}

fn upgrade_instances(resource: OldResource, index: Option<u64>) -> Vec<Json> {
    let primary = resource.primary.map(|instance| (None, instance));
    let deposed = resource.deposed.unwrap_or_default().into_iter();
    let deposed = deposed.enumerate();
    // The same keys whoever upgrades.
    let deposed = deposed.map(|(i, instance)| (Some(format!("{:08x}", i + 1)), instance));
    primary
        .into_iter()
        .chain(deposed)
        .map(|(deposed, instance)| upgrade_instance(instance, deposed, index))
        .collect()
}

fn upgrade_instance(old: OldInstance, deposed: Option<String>, index: Option<u64>) -> Json {
    let mut attributes = old.attributes.unwrap_or_default();
    if !old.id.is_empty() && attributes.get("id").is_none_or(String::is_empty) {
        attributes.insert("id".into(), old.id);
    }
    let mut private = old.meta.unwrap_or_default();
    let version = match private.get("schema_version") {
        Some(Json::String(text)) => text.parse().ok(),
        Some(Json::Number(number)) => number.as_u64(),
        _ => None,
    };
    if version.is_some() {
        private.remove("schema_version");
    }
    let mut new = json!({
        "schema_version": version.unwrap_or(0),
        "attributes_flat": attributes,
    });
    let mut put = |name: &str, value: Json| {
        if let Some(fields) = new.as_object_mut() {
            fields.insert(name.into(), value);
        }
    };
    if let Some(index) = index {
        put("index_key", index.into());
    }
    if old.tainted {
        put("status", "tainted".into());
    }
    if let Some(key) = deposed {
        put("deposed", key.into());
    }
    if !private.is_empty() {
        put(
            "private",
            BASE64.encode(Json::Object(private).to_string()).into(),
        );
    }
    new
}

/// Before version 3, maps were counted as lists are: what has keys that are no numbers is a map. What is empty is left out.
fn mark_maps(attributes: &mut BTreeMap<String, String>) {
    let counts: Vec<String> = attributes
        .keys()
        .filter(|key| key.ends_with(".#"))
        .cloned()
        .collect();
    for count in counts {
        let Some(prefix) = count.strip_suffix('#') else {
            continue;
        };
        let inner = attributes.keys().filter_map(|key| key.strip_prefix(prefix));
        let keys: BTreeSet<&str> = inner
            .filter(|key| *key != "#")
            .map(|key| key.split('.').next().unwrap_or_default())
            .collect();
        let is_map = keys.iter().any(|key| key.parse::<i64>().is_err());
        let is_empty = keys.is_empty();
        if is_map || is_empty {
            let value = attributes.remove(&count);
            if let Some(value) = value.filter(|_| is_map) {
                attributes.insert(format!("{prefix}%"), value);
            }
        }
    }
}

/// The type is what the value looks like: what the file says of it is too coarse.
fn upgrade_output(old: Json) -> Json {
    let (value, sensitive) = match old {
        Json::Object(mut fields) => {
            let sensitive = fields.get("sensitive") == Some(&Json::Bool(true));
            (fields.remove("value").unwrap_or_default(), sensitive)
        }
        // Version 1 has texts.
        text => (text, false),
    };
    let ty = simplified(&value);
    json!({"value": value, "type": ty, "sensitive": sensitive})
}

/// A collection where all elements are of one type.
fn simplified(value: &Json) -> Json {
    let alike = |types: &[Json]| {
        let first = types.split_first();
        first.is_some_and(|(first, rest)| rest.iter().all(|ty| ty == first))
    };
    match value {
        Json::Array(items) => {
            let types: Vec<Json> = items.iter().map(implied).collect();
            match items.first() {
                Some(first) if alike(&types) => json!(["list", simplified(first)]),
                _ => implied(value),
            }
        }
        Json::Object(fields) => {
            let types: Vec<Json> = fields.values().map(implied).collect();
            match fields.values().next() {
                Some(first) if alike(&types) => json!(["map", simplified(first)]),
                _ => implied(value),
            }
        }
        other => implied(other),
    }
}

fn implied(value: &Json) -> Json {
    match value {
        Json::Null => json!("dynamic"),
        Json::Bool(_) => json!("bool"),
        Json::Number(_) => json!("number"),
        Json::String(_) => json!("string"),
        Json::Array(items) => json!(["tuple", items.iter().map(implied).collect::<Vec<_>>()]),
        Json::Object(fields) => {
            let types: Map<String, Json> = fields
                .iter()
                .map(|(name, v)| (name.clone(), implied(v)))
                .collect();
            json!(["object", types])
        }
    }
}
