//! Reading request bodies as strictly as Resource Manager does.

use serde_json::{Map, Value};

use super::Arm;
use crate::http::{Answer, error};

/// Regions of the public cloud, as names.
pub(crate) const LOCATIONS: &[&str] = &[
    "eastus",
    "eastus2",
    "southcentralus",
    "westus2",
    "westus3",
    "australiaeast",
    "southeastasia",
    "northeurope",
    "swedencentral",
    "uksouth",
    "westeurope",
    "centralus",
    "southafricanorth",
    "centralindia",
    "eastasia",
    "japaneast",
    "koreacentral",
    "canadacentral",
    "francecentral",
    "germanywestcentral",
    "italynorth",
    "norwayeast",
    "polandcentral",
    "spaincentral",
    "switzerlandnorth",
    "uaenorth",
    "brazilsouth",
    "israelcentral",
    "northcentralus",
    "westus",
    "ukwest",
    "westcentralus",
];

/// A body that must be a JSON object.
pub(crate) fn object(arm: &Arm<'_>) -> Result<Map<String, Value>, Answer> {
    match serde_json::from_slice(&arm.call.body) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(content("the body is not a JSON object.")),
        Err(problem) => Err(content(&format!("{problem}."))),
    }
}

/// 400 for content that cannot be read.
pub(crate) fn content(problem: &str) -> Answer {
    error(
        400,
        "InvalidRequestContent",
        format!("The request content was invalid and could not be deserialized: '{problem}'"),
    )
}

/// Refuses members that the type does not have.
pub(crate) fn only(map: &Map<String, Value>, known: &[&str], of: &str) -> Result<(), Answer> {
    match map.keys().find(|k| !known.contains(&k.as_str())) {
        None => Ok(()),
        Some(unknown) => Err(content(&format!(
            "Could not find member '{unknown}' on object of type '{of}'. Path '{unknown}'."
        ))),
    }
}

/// The object member `name`, empty when absent or null.
pub(crate) fn member(map: &Map<String, Value>, name: &str) -> Result<Map<String, Value>, Answer> {
    match map.get(name) {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(found)) => Ok(found.clone()),
        Some(_) => Err(content(&format!(
            "The member '{name}' is not an object. Path '{name}'."
        ))),
    }
}

/// The text member `name`; `None` when absent or null.
pub(crate) fn text(map: &Map<String, Value>, name: &str) -> Result<Option<String>, Answer> {
    match map.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(found)) => Ok(Some(found.clone())),
        Some(_) => Err(content(&format!(
            "The member '{name}' is not a string. Path '{name}'."
        ))),
    }
}

/// Refuses members of `names` that are there but neither a boolean nor null.
pub(crate) fn booleans(map: &Map<String, Value>, names: &[&str]) -> Result<(), Answer> {
    match names
        .iter()
        .find(|&&n| map.get(n).is_some_and(|v| !v.is_boolean() && !v.is_null()))
    {
        None => Ok(()),
        Some(name) => Err(content(&format!(
            "Could not convert the member to boolean. Path 'properties.{name}'."
        ))),
    }
}

/// One of the allowed words (without regard to case), in the service's spelling.
pub(crate) fn word(
    map: &Map<String, Value>,
    name: &str,
    allowed: &[&str],
) -> Result<Option<String>, Answer> {
    let Some(given) = text(map, name)? else {
        return Ok(None);
    };
    match allowed.iter().find(|a| a.eq_ignore_ascii_case(&given)) {
        Some(found) => Ok(Some((*found).to_owned())),
        None => {
            let all = allowed.join(",");
            Err(error(
                400,
                "InvalidValuesForRequestParameters",
                format!(
                    "Values for request parameters are invalid: {name} is '{given}', must be one of {all}."
                ),
            ))
        }
    }
}

/// The `tags` member: text by name, at most fifty.
pub(crate) fn tags(map: &Map<String, Value>) -> Result<Map<String, Value>, Answer> {
    let tags = member(map, "tags")?;
    if tags.len() > 50 {
        return Err(error(
            400,
            "InvalidTagCount",
            "The number of tags exceeds the maximum of 50.",
        ));
    }
    match tags.iter().find(|(name, value)| {
        name.is_empty() || name.len() > 512 || value.as_str().is_none_or(|v| v.len() > 256)
    }) {
        None => Ok(tags),
        Some((name, _)) => Err(error(
            400,
            "InvalidTag",
            format!(
                "The tag '{name}' is invalid: names have 1 to 512 characters, values are strings of at most 256."
            ),
        )),
    }
}

/// The `location` member as a region's name: `West Europe` is `westeurope`.
pub(crate) fn location(map: &Map<String, Value>) -> Result<String, Answer> {
    let given = text(map, "location")?.unwrap_or_default();
    let name: String = given
        .chars()
        .filter(|c| *c != ' ')
        .collect::<String>()
        .to_ascii_lowercase();
    if name.is_empty() {
        return Err(error(
            400,
            "LocationRequired",
            "The location property is required for this definition.",
        ));
    }
    if !LOCATIONS.contains(&name.as_str()) {
        let text = format!(
            "The provided location '{given}' is not available. List of available regions is '{}'.",
            LOCATIONS.join(",")
        );
        return Err(error(400, "LocationNotAvailableForResourceType", text));
    }
    Ok(name)
}
