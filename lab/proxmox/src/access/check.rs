//! Whether a caller may do something, by the contract's permissions and by what methods look into themselves.

use super::{Caller, Held};
use crate::error::ApiError;
use crate::schema::check::Params;
use crate::schema::permission::{Audience, Check, Groups, Permissions};
use crate::state::State;

type Allowed = Result<(), ApiError>;

impl State {
    /// The privileges of a caller on a path; a pool lends its roles to its VMs and storages.
    pub(crate) fn privileges(&self, caller: &Caller, path: &str) -> Held {
        let pool = match path.split('/').collect::<Vec<_>>().as_slice() {
            ["", "vms", vmid] => vmid.parse().ok().and_then(|id| self.pool_of(id)),
            ["", "storage", id] => self
                .pools
                .iter()
                .find(|(_, p)| p.storages.iter().any(|s| s == id))
                .map(|(pool, _)| pool.as_str()),
            _ => None,
        };
        self.access.privileges(caller, path, pool)
    }

    /// All of these privileges on a path.
    pub(crate) fn need(&self, caller: &Caller, path: &str, privileges: &[&str]) -> Allowed {
        if caller.is_root() {
            return Ok(());
        }
        let held = self.privileges(caller, path).all;
        match privileges
            .iter()
            .find(|p| !held.has(p) || self.withheld.contains(**p))
        {
            None => Ok(()),
            Some(missing) => Err(ApiError::permission(&format!("{path}, {missing}"))),
        }
    }

    /// Any of these privileges on a path.
    pub(crate) fn need_any(&self, caller: &Caller, path: &str, privileges: &[&str]) -> Allowed {
        let held = self.privileges(caller, path).all;
        let has = |p: &&str| held.has(p) && !self.withheld.contains(*p);
        if caller.is_root() || privileges.iter().any(has) {
            return Ok(());
        }
        Err(ApiError::permission(&format!(
            "{path}, {}",
            privileges.join("|")
        )))
    }

    pub(crate) fn may(&self, caller: &Caller, path: &str, privilege: &str) -> bool {
        self.need(caller, path, &[privilege]).is_ok()
    }

    /// The contract's permissions of a method, before its parameters are checked.
    pub(crate) fn permit(
        &self,
        caller: &Caller,
        permissions: Option<&Permissions>,
        params: &Params,
    ) -> Allowed {
        if caller.is_root() {
            return Ok(());
        }
        let Some(permissions) = permissions else {
            return Err(ApiError::permission("user != root@pam"));
        };
        match (permissions.user, &permissions.check) {
            (Audience::World | Audience::All, _) => Ok(()),
            (Audience::Checked, Some(check)) => self.satisfies(caller, check, params),
            (Audience::Checked, None) => Err(ApiError::permission("")),
        }
    }

    fn satisfies(&self, caller: &Caller, check: &Check, params: &Params) -> Allowed {
        match check {
            Check::And(all) => all
                .iter()
                .try_for_each(|c| self.satisfies(caller, c, params)),
            Check::Or(any) => {
                let one = any
                    .iter()
                    .any(|c| self.satisfies(caller, c, params).is_ok());
                if one {
                    Ok(())
                } else {
                    Err(ApiError::permission(""))
                }
            }
            Check::Perm {
                path,
                privileges,
                any,
                require_param,
            } => {
                if require_param.as_ref().is_some_and(|name| !params.has(name)) {
                    return Err(ApiError::permission(""));
                }
                let path = normalized(&filled(path, params));
                let privileges: Vec<&str> = privileges.iter().map(String::as_str).collect();
                if *any {
                    self.need_any(caller, &path, &privileges)
                } else {
                    self.need(caller, &path, &privileges)
                }
            }
            Check::Oneself => {
                self.access.user(params.text("userid"))?;
                if params.text("userid") == caller.name() {
                    Ok(())
                } else {
                    Err(ApiError::permission(""))
                }
            }
            Check::RealmOfUser => {
                let realm = params.text("userid").rsplit('@').next().unwrap_or_default();
                self.need(
                    caller,
                    &format!("/access/realm/{realm}"),
                    &["Realm.AllocateUser"],
                )
            }
            Check::GroupOfUser { privileges, groups } => {
                let privileges: Vec<&str> = privileges.iter().map(String::as_str).collect();
                self.on_groups(caller, &privileges, *groups, params)
            }
            Check::ModifyPermissions(path) => {
                self.need_modify(caller, &normalized(&filled(path, params)))
            }
        }
    }

    /// Permissions.Modify on a path, or the privilege to make objects of its kind.
    pub(crate) fn need_modify(&self, caller: &Caller, path: &str) -> Allowed {
        let also = match path.split('/').collect::<Vec<_>>().as_slice() {
            ["", "storage", _, ..] => Some("Datastore.Allocate"),
            ["", "vms", _, ..] => Some("VM.Allocate"),
            ["", "pool", _, ..] => Some("Pool.Allocate"),
            _ => None,
        };
        let privileges: Vec<&str> = ["Permissions.Modify"].into_iter().chain(also).collect();
        self.need_any(caller, path, &privileges)
    }

    fn on_groups(
        &self,
        caller: &Caller,
        privileges: &[&str],
        groups: Groups,
        params: &Params,
    ) -> Allowed {
        let own = match groups {
            Groups::Named => None,
            _ => Some(&self.access.user(params.text("userid"))?.groups),
        };
        if self.need_any(caller, "/access/groups", privileges).is_ok() {
            return Ok(());
        }
        let on = |group: &str| {
            self.access.groups.contains_key(group)
                && self
                    .need_any(caller, &format!("/access/groups/{group}"), privileges)
                    .is_ok()
        };
        if groups != Groups::OfUser {
            let named = params.list("groups");
            let refused = match named.iter().find(|group| !on(group)) {
                _ if named.is_empty() => Some("/access/groups".to_owned()),
                other => other.map(|group| format!("/access/groups/{group}")),
            };
            if let Some(path) = refused {
                let detail = format!("{path}, {}", privileges.join("|"));
                return Err(ApiError::permission(&detail));
            }
        }
        match own {
            Some(own) if !own.iter().any(|group| on(group)) => Err(ApiError::permission("")),
            _ => Ok(()),
        }
    }
}

/// A path with its `{parameter}`s filled in.
pub(crate) fn filled(template: &str, params: &Params) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let (name, tail) = after.split_once('}').unwrap_or((after, ""));
        out.push_str(params.text(name));
        rest = tail;
    }
    out + rest
}

/// Without doubled or trailing slashes.
pub(crate) fn normalized(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
    format!("/{}", parts.join("/"))
}
