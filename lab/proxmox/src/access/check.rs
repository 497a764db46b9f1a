//! Whether a caller may do something, by the contract's permissions and by what methods look into themselves.

use std::collections::BTreeSet;

use super::Caller;
use crate::error::ApiError;
use crate::schema::check::Params;
use crate::schema::permission::{Audience, Check, Permissions};
use crate::state::State;

type Allowed = Result<(), ApiError>;

impl State {
    /// The privileges of a caller on a path; a pool lends its roles to its VMs and storages.
    pub(crate) fn privileges(&self, caller: &Caller, path: &str) -> BTreeSet<String> {
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
        let held = self.privileges(caller, path);
        match privileges.iter().find(|p| !held.contains(**p)) {
            None => Ok(()),
            Some(missing) => Err(ApiError::permission(&format!("{path}, {missing}"))),
        }
    }

    /// Any of these privileges on a path.
    pub(crate) fn need_any(&self, caller: &Caller, path: &str, privileges: &[&str]) -> Allowed {
        let held = self.privileges(caller, path);
        if caller.is_root() || privileges.iter().any(|p| held.contains(*p)) {
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
            Check::Oneself if params.get("userid") == Some(caller.user.as_str()) => Ok(()),
            Check::Oneself => Err(ApiError::permission("")),
            Check::RealmOfUser => {
                let realm = params.text("userid").rsplit('@').next().unwrap_or_default();
                self.need(
                    caller,
                    &format!("/access/realm/{realm}"),
                    &["Realm.AllocateUser"],
                )
            }
            // The simulated users are in no group, so only rights on all groups count.
            Check::GroupOfUser(privileges) => {
                let privileges: Vec<&str> = privileges.iter().map(String::as_str).collect();
                self.need_any(caller, "/access/groups", &privileges)
            }
            Check::ModifyPermissions(path) => {
                let path = normalized(&filled(path, params));
                let also = match path.split('/').nth(1) {
                    Some("storage") => Some("Datastore.Allocate"),
                    Some("vms") => Some("VM.Allocate"),
                    Some("pool") => Some("Pool.Allocate"),
                    _ => None,
                };
                let privileges: Vec<&str> =
                    ["Permissions.Modify"].into_iter().chain(also).collect();
                self.need_any(caller, &path, &privileges)
            }
        }
    }
}

/// A path with its `{parameter}`s filled in.
fn filled(template: &str, params: &Params) -> String {
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
