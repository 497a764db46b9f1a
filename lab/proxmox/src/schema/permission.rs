//! What privileges a method asks for, as the contract writes it.

use serde_json::Value;

/// Who may call a method.
#[derive(Debug)]
pub(crate) struct Permissions {
    pub(crate) user: Audience,
    pub(crate) check: Option<Check>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Also who has not logged in.
    World,
    /// Who has logged in; the method itself looks further.
    All,
    /// As the check says.
    Checked,
}

/// A condition on the caller's privileges; paths hold `{parameter}`s.
#[derive(Debug)]
pub(crate) enum Check {
    And(Vec<Check>),
    Or(Vec<Check>),
    Perm {
        path: String,
        privileges: Vec<String>,
        any: bool,
        require_param: Option<String>,
    },
    /// `userid` is the caller.
    Oneself,
    /// Realm.AllocateUser on the realm of `userid`.
    RealmOfUser,
    /// Any of these privileges on all groups; or on a group of `userid`, and where groups are named, on each of them.
    GroupOfUser {
        privileges: Vec<String>,
        groups: Groups,
    },
    /// Permissions.Modify on the path, or the privilege to hand out rights on that kind of object.
    ModifyPermissions(String),
}

/// Of which groups [`Check::GroupOfUser`] speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Groups {
    OfUser,
    /// Those of the parameter `groups`: the user is yet to be.
    Named,
    Both,
}

impl Permissions {
    pub(crate) fn parse(value: &Value) -> Result<Permissions, String> {
        let check = value.get("check").map(Check::parse).transpose()?;
        let user = match (value.get("user").and_then(Value::as_str), &check) {
            (Some("world"), _) => Audience::World,
            (Some("all"), None) => Audience::All,
            (_, Some(_)) => Audience::Checked,
            _ => return Err(format!("permissions without a meaning: {value}")),
        };
        Ok(Permissions { user, check })
    }
}

impl Check {
    fn parse(value: &Value) -> Result<Check, String> {
        let unknown = || format!("unknown permission check: {value}");
        let items = value.as_array().ok_or_else(unknown)?;
        let (kind, rest) = items.split_first().ok_or_else(unknown)?;
        let several = || rest.iter().map(Check::parse).collect::<Result<Vec<_>, _>>();
        let text = |i: usize| {
            rest.get(i)
                .and_then(Value::as_str)
                .map(str::to_owned)
                .ok_or_else(unknown)
        };
        Ok(match kind.as_str().ok_or_else(unknown)? {
            "and" => Check::And(several()?),
            "or" => Check::Or(several()?),
            "perm" => Check::Perm {
                path: text(0)?,
                privileges: strings(rest.get(1)),
                any: option(rest, "any").is_some(),
                require_param: option(rest, "require_param")
                    .and_then(Value::as_str)
                    .map(str::to_owned),
            },
            "userid-param" if text(0)? == "self" => Check::Oneself,
            "userid-param" if text(0)? == "Realm.AllocateUser" => Check::RealmOfUser,
            "userid-group" => Check::GroupOfUser {
                privileges: strings(rest.first()),
                groups: match option(rest, "groups_param").and_then(Value::as_str) {
                    None => Groups::OfUser,
                    Some("create") => Groups::Named,
                    Some(_) => Groups::Both,
                },
            },
            "perm-modify" => Check::ModifyPermissions(text(0)?),
            _ => return Err(unknown()),
        })
    }
}

/// Options follow the fixed items as name and value.
fn option<'a>(items: &'a [Value], name: &str) -> Option<&'a Value> {
    let at = items.iter().position(|item| item.as_str() == Some(name))?;
    items.get(at + 1)
}

fn strings(value: Option<&Value>) -> Vec<String> {
    let items = value.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}
