//! Resource groups, and the lists of the resources in them.

use serde_json::{Map, Value, json};

use super::body::{location, object, only, tags, text};
use super::{Arm, Outcome};
use crate::http::{Answer, error};
use crate::state::{Ending, Group, State};

const ACTION: &str = "Microsoft.Resources/subscriptions/resourceGroups";

impl Arm<'_> {
    pub(super) fn groups(&self) -> Outcome {
        self.authorize(&self.cloud.subscription_scope(), &format!("{ACTION}/read"))?;
        let state = self.cloud.state();
        let value: Vec<Value> = state.groups.values().map(|g| self.group_json(g)).collect();
        Ok(Answer::json(200, &json!({"value": value})))
    }

    pub(super) fn group(&self, name: &str) -> Outcome {
        let id = format!("{}/resourceGroups/{name}", self.cloud.subscription_scope());
        match self.call.method.as_str() {
            "GET" | "HEAD" => {
                self.authorize(&id, &format!("{ACTION}/read"))?;
                let found = self.find_group(name)?;
                Ok(if self.call.method == "HEAD" {
                    Answer::empty(204)
                } else {
                    Answer::json(200, &self.group_json(&found))
                })
            }
            "PUT" => {
                self.authorize(&id, &format!("{ACTION}/write"))?;
                self.put_group(name)
            }
            "PATCH" => {
                self.authorize(&id, &format!("{ACTION}/write"))?;
                self.patch_group(name)
            }
            "DELETE" => {
                self.authorize(&id, &format!("{ACTION}/delete"))?;
                self.delete_group(name)
            }
            _ => Err(self.not_simulated()),
        }
    }

    /// 404 unless the group exists; 409 when a change comes while it is being deleted.
    pub(super) fn group_exists(&self, name: &str) -> Result<(), Answer> {
        let state = self.cloud.state();
        let Some(group) = state.groups.get(&name.to_ascii_lowercase()) else {
            return Err(group_not_found(name));
        };
        if group.deleting.is_some() && self.call.method == "PUT" {
            let text = format!(
                "The resource group '{}' is in deprovisioning state and cannot perform this operation.",
                group.name
            );
            return Err(error(409, "ResourceGroupBeingDeleted", text));
        }
        Ok(())
    }

    /// The group, having counted this look when it is being deleted.
    fn find_group(&self, name: &str) -> Result<Group, Answer> {
        if self.read_lags() {
            return Err(group_not_found(name));
        }
        let mut state = self.cloud.state();
        let key = name.to_ascii_lowercase();
        let group = state
            .groups
            .get_mut(&key)
            .ok_or_else(|| group_not_found(name))?;
        if let Some(pending) = &mut group.deleting
            && !pending.look(crate::http::now())
        {
            state.groups.remove(&key);
            self.cloud.changed();
            return Err(group_not_found(name));
        }
        Ok(group.clone())
    }

    fn put_group(&self, name: &str) -> Outcome {
        if name.is_empty()
            || name.len() > 90
            || name.ends_with('.')
            || !name
                .chars()
                .all(|c| c.is_alphanumeric() || "-_.()".contains(c))
        {
            let text = format!(
                "The provided resource group name '{name}' is invalid: it has 1 to 90 alphanumerics, underscores, parentheses, hyphens and periods, and does not end with a period."
            );
            return Err(error(400, "InvalidResourceGroup", text));
        }
        let body = object(self)?;
        only(
            &body,
            &[
                "id",
                "name",
                "type",
                "location",
                "managedBy",
                "properties",
                "tags",
            ],
            "ResourceGroupDefinition",
        )?;
        let (location, tags, managed_by) =
            (location(&body)?, tags(&body)?, text(&body, "managedBy")?);
        self.group_exists(name).or_else(|refused| {
            if refused.status == 404 {
                Ok(())
            } else {
                Err(refused)
            }
        })?;
        let mut state = self.cloud.state();
        let key = name.to_ascii_lowercase();
        let old = state.groups.get(&key);
        if let Some(old) = old
            && old.location != location
        {
            let text = format!(
                "Invalid resource group location '{location}'. The Resource group already exists in location '{}'.",
                old.location
            );
            return Err(error(409, "InvalidResourceGroupLocation", text));
        }
        let status = if old.is_some() { 200 } else { 201 };
        let group = Group {
            name: old.map_or(name, |o| &o.name).to_owned(),
            location,
            tags,
            managed_by,
            deleting: None,
        };
        let answer = Answer::json(status, &self.group_json(&group));
        state.groups.insert(key, group);
        self.cloud.changed();
        Ok(answer)
    }

    fn patch_group(&self, name: &str) -> Outcome {
        let body = object(self)?;
        only(
            &body,
            &["name", "managedBy", "properties", "tags"],
            "ResourceGroupPatchable",
        )?;
        let tags = body.get("tags").map(|_| tags(&body)).transpose()?;
        let mut state = self.cloud.state();
        let group = state
            .groups
            .get_mut(&name.to_ascii_lowercase())
            .ok_or_else(|| group_not_found(name))?;
        if let Some(tags) = tags {
            group.tags = tags;
        }
        self.cloud.changed();
        Ok(Answer::json(200, &self.group_json(group)))
    }

    fn delete_group(&self, name: &str) -> Outcome {
        let key = name.to_ascii_lowercase();
        let pending = self.cloud.pending(30);
        {
            let mut state = self.cloud.state();
            state
                .groups
                .get_mut(&key)
                .ok_or_else(|| group_not_found(name))?
                .deleting = Some(pending.clone());
            let vaults: Vec<String> = of_group(&state.vaults, &key, |v| &v.group);
            for vault in vaults {
                self.bury_vault(&mut state, &vault);
            }
            for account in of_group(&state.accounts, &key, |a| &a.group) {
                super::accounts::forget(self.cloud, &mut state, &account);
            }
            for identity in of_group(&state.identities, &key, |i| &i.group) {
                state.identities.remove(&identity);
            }
            let id = format!("{}/resourcegroups/{key}", self.cloud.subscription_scope());
            forget_assignments(&mut state, &id);
        }
        Ok(self.accept("/operationresults", pending, Ending::GroupGone(key)))
    }

    /// `GET …/resources`: those of the subscription or of one group, with the filters that clients use.
    pub(super) fn resources(&self, group: Option<&str>) -> Outcome {
        let scope = self.cloud.subscription_scope();
        self.authorize(&scope, "Microsoft.Resources/subscriptions/resources/read")?;
        if let Some(group) = group {
            self.group_exists(group)?;
        }
        let filters = filters(self.call.param("$filter").unwrap_or_default())?;
        let top = match self.call.param("$top").map(str::parse::<usize>) {
            None => usize::MAX,
            Some(Ok(top)) if (1..=1000).contains(&top) => top,
            Some(_) => {
                return Err(error(
                    400,
                    "InvalidTopInQueryString",
                    "The $top query parameter must be a number from 1 to 1000.",
                ));
            }
        };
        let state = self.cloud.state();
        let mut all: Vec<(String, Value)> = Vec::new();
        all.extend(
            state
                .vaults
                .values()
                .map(|v| (v.group.clone(), brief(self.vault_json(v)))),
        );
        all.extend(
            state
                .accounts
                .values()
                .map(|a| (a.group.clone(), brief(self.account_json(a)))),
        );
        all.extend(
            state
                .identities
                .values()
                .map(|i| (i.group.clone(), brief(self.identity_json(i)))),
        );
        let value: Vec<Value> = all
            .into_iter()
            .filter(|(of, _)| group.is_none_or(|g| g.eq_ignore_ascii_case(of)))
            .filter(|(of, resource)| filters.iter().all(|f| f.admits(of, resource)))
            .map(|(_, resource)| resource)
            .take(top)
            .collect();
        Ok(Answer::json(200, &json!({"value": value})))
    }

    fn group_json(&self, group: &Group) -> Value {
        let state = if group.deleting.is_some() {
            "Deleting"
        } else {
            "Succeeded"
        };
        let mut json = json!({
            "id": format!("{}/resourceGroups/{}", self.cloud.subscription_scope(), group.name),
            "name": group.name, "type": "Microsoft.Resources/resourceGroups", "location": group.location,
            "tags": group.tags, "properties": {"provisioningState": state},
        });
        if let (Some(json), Some(managed_by)) = (json.as_object_mut(), &group.managed_by) {
            json.insert("managedBy".to_owned(), json!(managed_by));
        }
        json
    }
}

/// Removes the role assignments at a scope and below; `scope` in any case.
pub(super) fn forget_assignments(state: &mut State, scope: &str) {
    let scope = scope.to_ascii_lowercase();
    state.assignments.retain(|_, a| {
        let at = a.scope.to_ascii_lowercase();
        at != scope && !at.starts_with(&format!("{scope}/"))
    });
}

fn of_group<T>(
    all: &std::collections::BTreeMap<String, T>,
    group: &str,
    of: impl Fn(&T) -> &String,
) -> Vec<String> {
    all.iter()
        .filter(|(_, v)| of(v).eq_ignore_ascii_case(group))
        .map(|(k, _)| k.clone())
        .collect()
}

fn group_not_found(name: &str) -> Answer {
    error(
        404,
        "ResourceGroupNotFound",
        format!("Resource group '{name}' could not be found."),
    )
}

/// What lists show of a resource: its envelope without `properties`.
fn brief(resource: Value) -> Value {
    let Value::Object(all) = resource else {
        return resource;
    };
    let shown = [
        "id", "name", "type", "kind", "sku", "location", "tags", "identity",
    ];
    let mut brief: Map<String, Value> = all
        .into_iter()
        .filter(|(k, _)| shown.contains(&k.as_str()))
        .collect();
    brief.insert("provisioningState".to_owned(), json!("Succeeded"));
    Value::Object(brief)
}

/// One comparison of `$filter`.
struct Filter {
    field: String,
    value: String,
}

impl Filter {
    fn admits(&self, group: &str, resource: &Value) -> bool {
        let text = |name: &str| {
            resource
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let actual = match self.field.as_str() {
            "resourcegroup" => group,
            "resourcetype" => text("type"),
            "name" => text("name"),
            _ => text("location"),
        };
        actual.eq_ignore_ascii_case(&self.value)
    }
}

fn filters(text: &str) -> Result<Vec<Filter>, Answer> {
    let refuse = || {
        error(
            400,
            "InvalidFilterInQueryString",
            format!("Invalid $filter '{text}' specified in the query string."),
        )
    };
    let mut all = Vec::new();
    for part in text.split(" and ").map(str::trim).filter(|p| !p.is_empty()) {
        let (field, value) = part.split_once(" eq ").ok_or_else(refuse)?;
        let field = field.trim().to_ascii_lowercase();
        let value = value
            .trim()
            .strip_prefix('\'')
            .and_then(|v| v.strip_suffix('\''))
            .ok_or_else(refuse)?;
        if !["resourcetype", "name", "resourcegroup", "location"].contains(&field.as_str()) {
            return Err(refuse());
        }
        all.push(Filter {
            field,
            value: value.replace("''", "'"),
        });
    }
    Ok(all)
}
