//! Who may do what: users, tokens, groups, roles, realms, pools, access control.

mod acl;
pub(crate) mod expiry;
mod grants;
mod group;
mod pool;
mod realm_ldap;
mod realm_openid;
mod realm_sync;
mod role;
mod user;
mod user_token;

use stead_sdk::value::schema::Pattern;

use crate::client::PlannedKind;
use crate::rest::{Clearing, Listed, rest};
use acl::Acl;
use group::{Group, GroupData, Groups};
use pool::{Membership, Pool, Pools};
use realm_ldap::RealmLdap;
use realm_openid::RealmOpenid;
use realm_sync::RealmSync;
use role::{Role, Roles};
use user::{User, UserData, Users};
use user_token::UserToken;

/// A realm's name.
const REALM: Pattern = Pattern {
    regex: "[A-Za-z][A-Za-z0-9._-]+",
    form: "a realm's name: a letter, then letters, digits, `.`, `-` and `_`",
};

const TOKEN: &str = "/access/users/{user_id}/token/{token_name}";

rest! {
    resource Acl with hooks {
        what: "access", item: "/access/acl", id: "{path}?{who}?{role_id}",
        brings: Some((PlannedKind::AccessList, "")),
        listed: Listed::Rows("/access/acl", &[("who", "ugid"), ("role_id", "roleid")])
    }
    resource User with hooks {
        what: "user", item: "/access/users/{user_id}", clearing: Clearing::Empty,
        listed: Listed::Rows("/access/users", &[("user_id", "userid")]),
        referred_as: &[("user_id", "user_id")]
    }
    data UserData with hooks { what: "user", item: "/access/users/{user_id}" }
    data Users with hooks {
        what: "users", item: "/access/users", id: "users", query: &[("full", "1")], sorted_by: "userid"
    }
    resource UserToken with hooks {
        what: "API token", item: TOKEN, made_at: TOKEN, id: "{user_id}!{token_name}", clearing: Clearing::Empty,
        listed: Listed::Otherwise
    }
    resource Group with hooks {
        what: "group", item: "/access/groups/{group_id}", clearing: Clearing::Empty,
        needs: ("/access/groups", &["Group.Allocate"]),
        listed: Listed::Rows("/access/groups", &[("group_id", "groupid")]),
        referred_as: &[("group_id", "group_id"), ("groups", "group_id")]
    }
    data GroupData with hooks { what: "group", item: "/access/groups/{group_id}" }
    data Groups { what: "groups", item: "/access/groups", id: "groups", sorted_by: "groupid" }
    resource Role with hooks {
        what: "role", item: "/access/roles/{role_id}", clearing: Clearing::Empty,
        needs: ("/access", &["Sys.Modify"]), brings: Some((PlannedKind::AccessList, "")),
        listed: Listed::Rows("/access/roles", &[("role_id", "roleid")]),
        referred_as: &[("role_id", "role_id")]
    }
    lookup Role {}
    data Roles { what: "roles", item: "/access/roles", id: "roles", sorted_by: "roleid" }
    resource Pool with hooks {
        what: "pool", item: "/pools", id: "{pool_id}", clearing: Clearing::Empty,
        needs: ("/pool/{pool_id}", &["Pool.Allocate"]),
        listed: Listed::Rows("/pools", &[("pool_id", "poolid")]),
        referred_as: &[("pool_id", "pool_id")]
    }
    lookup Pool {}
    data Pools { what: "pools", item: "/pools", id: "pools", sorted_by: "poolid" }
    resource Membership with hooks {
        what: "pool membership", item: "/pools", id: "{pool_id}/{type}/{member}",
        needs: ("/pool/{pool_id}", &["Pool.Allocate"]),
        listed: Listed::Otherwise
    }
    resource RealmLdap with hooks {
        what: "realm", item: "/access/domains/{realm}", kind: &[("type", "ldap")],
        needs: ("/access/realm", &["Realm.Allocate"]),
        listed: Listed::Rows("/access/domains", &[])
    }
    resource RealmOpenid {
        what: "realm", item: "/access/domains/{realm}", kind: &[("type", "openid")],
        needs: ("/access/realm", &["Realm.Allocate"]),
        listed: Listed::Rows("/access/domains", &[])
    }
    resource RealmSync with hooks {
        what: "synchronization of", item: "/access/domains/{realm}", made_at: "/access/domains/{realm}/sync"
    }
}
