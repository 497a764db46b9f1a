//! Users, groups, API tokens, roles, realms and the access-control list.

pub(crate) mod acl;
pub(crate) mod check;
pub(crate) mod groups;
pub(crate) mod login;
pub(crate) mod privileges;
pub(crate) mod realms;
pub(crate) mod roles;
pub(crate) mod tfa;
pub(crate) mod ticket;
pub(crate) mod tokens;
pub(crate) mod users;

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use self::privileges::Set;
use crate::now;
use crate::options::{Options, Version};
use crate::routes::Routes;

#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Access {
    pub(crate) users: BTreeMap<String, User>,
    /// By name: the comment. Who is in it, each user says.
    #[serde(default)]
    pub(crate) groups: BTreeMap<String, Option<String>>,
    /// Roles beyond the built-in ones.
    pub(crate) roles: BTreeMap<String, BTreeSet<String>>,
    /// By path, then by subject (a user, a token or an `@group`), then by role: whether it propagates.
    pub(crate) acl: BTreeMap<String, BTreeMap<String, RolesHere>>,
    /// Signs tickets.
    key: [u8; 16],
    /// Which decides what privileges there are.
    #[serde(default)]
    pub(crate) version: Version,
}

/// Roles that are set somewhere, and whether each propagates.
pub(crate) type RolesHere = BTreeMap<String, bool>;

#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) disabled: bool,
    /// Seconds since 1970; 0: never.
    #[serde(default)]
    pub(crate) expire: u64,
    /// First name, comment and the like, by their parameter.
    #[serde(default)]
    pub(crate) details: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) groups: BTreeSet<String>,
    /// Salted hash.
    password: Option<String>,
    pub(crate) tokens: BTreeMap<String, Token>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Token {
    /// Hash of the secret.
    secret: String,
    pub(crate) privsep: bool,
    pub(crate) comment: Option<String>,
    /// Seconds since 1970; 0: never.
    pub(crate) expire: u64,
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    /// `root@pam`.
    pub(crate) user: String,
    /// `stead`, when an API token was used.
    pub(crate) token: Option<String>,
}

/// The privileges of someone on a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) all: Set,
    /// Of these, what holds below the path, too.
    pub(crate) propagated: Set,
}

impl Held {
    fn everything(set: Set) -> Held {
        Held {
            all: set,
            propagated: set,
        }
    }

    fn common(self, other: Held) -> Held {
        Held {
            all: self.all.common(other.all),
            propagated: self.propagated.common(other.propagated),
        }
    }
}

impl Caller {
    /// `alice@pve` or `alice@pve!token`.
    pub(crate) fn named(name: &str) -> Caller {
        match name.split_once('!') {
            Some((user, token)) => Caller {
                user: user.to_owned(),
                token: Some(token.to_owned()),
            },
            None => Caller {
                user: name.to_owned(),
                token: None,
            },
        }
    }

    /// `root@pam!stead`.
    pub(crate) fn name(&self) -> String {
        match &self.token {
            Some(token) => format!("{}!{token}", self.user),
            None => self.user.clone(),
        }
    }

    /// Whether it is root@pam in person: its tokens are not.
    pub(crate) fn is_root(&self) -> bool {
        self.user == "root@pam" && self.token.is_none()
    }
}

impl Access {
    pub(crate) fn new(options: &Options, key: [u8; 16]) -> Access {
        let mut access = Access {
            key,
            version: options.version,
            ..Access::default()
        };
        for spec in &options.users {
            let mut user = User {
                password: spec.password.as_ref().map(|p| hash(&key, p)),
                ..User::default()
            };
            for token in &spec.tokens {
                user.tokens.insert(
                    token.id.clone(),
                    Token::new(&key, &token.secret, token.privilege_separation),
                );
            }
            access.users.insert(spec.id.clone(), user);
        }
        let all = Set::all(options.version);
        for (name, privileges) in &options.roles {
            let privileges = privileges.iter().filter(|p| all.has(p)).cloned();
            access.roles.insert(name.clone(), privileges.collect());
        }
        for entry in &options.acl {
            let subjects = access.acl.entry(entry.path.clone()).or_default();
            subjects
                .entry(entry.subject.clone())
                .or_default()
                .insert(entry.role.clone(), entry.propagate);
        }
        access
    }

    /// The privileges of a caller on a path, which belongs to a pool.
    pub(crate) fn privileges(&self, caller: &Caller, path: &str, pool: Option<&str>) -> Held {
        let of_user = || match caller.user.as_str() {
            "root@pam" => Held::everything(Set::all(self.version)),
            user => self.own_privileges(user, path, pool),
        };
        let Some(id) = &caller.token else {
            return of_user();
        };
        match self.users.get(&caller.user).and_then(|u| u.tokens.get(id)) {
            None => Held::default(),
            Some(token) if !token.privsep => of_user(),
            Some(_) => self
                .own_privileges(&caller.name(), path, pool)
                .common(of_user()),
        }
    }

    /// What the entries for a user or a token grant; a pool lends its roles, which propagate no further.
    fn own_privileges(&self, subject: &str, path: &str, pool: Option<&str>) -> Held {
        let mut roles = self.roles_at(subject, path);
        if let Some(pool) = pool
            && !roles.contains_key("NoAccess")
        {
            let lent = self.roles_at(subject, &format!("/pool/{pool}"));
            if lent.contains_key("NoAccess") {
                return Held::default();
            }
            for (role, _) in lent {
                roles.entry(role).or_insert(false);
            }
        }
        let mut held = Held::default();
        for (role, propagates) in roles {
            let set = self.role(role).unwrap_or_default();
            held.all = held.all.union(set);
            if propagates {
                held.propagated = held.propagated.union(set);
            }
        }
        held
    }

    /// The privileges of a role, if there is one of this name.
    pub(crate) fn role(&self, name: &str) -> Option<Set> {
        let own = self.roles.get(name).map(privileges::own);
        own.or_else(|| privileges::built_in(self.version, name))
    }

    /// Roles of a subject at a path: what is set nearest to it counts, from above only if it propagates; at the same
    /// path, what is set for oneself counts rather than what is set for one's groups.
    fn roles_at(&self, subject: &str, path: &str) -> BTreeMap<&str, bool> {
        let mut held = BTreeMap::new();
        for ancestor in ancestors(path) {
            let Some(subjects) = self.acl.get(ancestor) else {
                continue;
            };
            let counts = |(_, propagates): &(&'_ String, &bool)| **propagates || ancestor == path;
            let own = subjects.get(subject).into_iter().flatten().filter(counts);
            let mut here: BTreeMap<&str, bool> = own
                .map(|(role, propagates)| (role.as_str(), *propagates))
                .collect();
            if here.is_empty() {
                let groups = self.users.get(subject).map(|u| &u.groups);
                let sets = groups
                    .into_iter()
                    .flatten()
                    .filter_map(|group| subjects.get(&format!("@{group}")));
                let of_groups = sets.flatten().filter(counts);
                here = of_groups
                    .map(|(role, propagates)| (role.as_str(), *propagates))
                    .collect();
            }
            if !here.is_empty() {
                held = here;
            }
        }
        if held.contains_key("NoAccess") {
            held.retain(|role, _| *role == "NoAccess");
        }
        held
    }

    /// Why a user may not enter.
    pub(crate) fn refused(&self, id: &str) -> Option<String> {
        match self.users.get(id) {
            None => Some(format!("no such user ('{id}')")),
            Some(user) if user.disabled => Some(format!("user '{id}' is disabled")),
            Some(user) if user.expire != 0 && user.expire < now() => {
                Some(format!("user '{id}' access expired"))
            }
            Some(_) => None,
        }
    }

    /// Takes a user, token, group (`@name`) or role out of the access-control list.
    fn forget(&mut self, gone: impl Fn(&str, &str) -> bool) {
        for subjects in self.acl.values_mut() {
            for (subject, roles) in subjects.iter_mut() {
                roles.retain(|role, _| !gone(subject, role));
            }
            subjects.retain(|_, roles| !roles.is_empty());
        }
        self.acl.retain(|_, subjects| !subjects.is_empty());
    }
}

impl Token {
    fn new(key: &[u8], secret: &str, privsep: bool) -> Token {
        Token {
            secret: hash(key, secret),
            privsep,
            comment: None,
            expire: 0,
        }
    }
}

/// `/`, `/a`, `/a/b` for `/a/b`.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let below = path.char_indices().skip(1).filter(|(_, c)| *c == '/');
    let below = below.filter_map(|(i, _)| path.get(..i));
    let itself = (path != "/").then_some(path);
    std::iter::once("/").chain(below).chain(itself)
}

fn hash(key: &[u8], secret: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update(key);
    hasher.update(secret.as_bytes());
    STANDARD_NO_PAD.encode(hasher.finalize())
}

pub(crate) fn routes(at: &mut Routes<'_>) {
    at.get("/access/ticket", ticket::dummy);
    at.post("/access/ticket", ticket::create);
    at.post("/access/vncticket", ticket::verify_vnc);
    at.put("/access/password", users::change_password);
    at.get("/access/users", users::list);
    at.post("/access/users", users::create);
    at.get("/access/users/{userid}", users::read);
    at.put("/access/users/{userid}", users::update);
    at.delete("/access/users/{userid}", users::delete);
    at.get("/access/users/{userid}/token", tokens::list);
    at.get("/access/users/{userid}/token/{tokenid}", tokens::read);
    at.post("/access/users/{userid}/token/{tokenid}", tokens::create);
    at.put("/access/users/{userid}/token/{tokenid}", tokens::update);
    at.delete("/access/users/{userid}/token/{tokenid}", tokens::delete);
    at.get("/access/groups", groups::list);
    at.post("/access/groups", groups::create);
    at.get("/access/groups/{groupid}", groups::read);
    at.put("/access/groups/{groupid}", groups::update);
    at.delete("/access/groups/{groupid}", groups::delete);
    at.get("/access/roles", roles::list);
    at.post("/access/roles", roles::create);
    at.get("/access/roles/{roleid}", roles::read);
    at.put("/access/roles/{roleid}", roles::update);
    at.delete("/access/roles/{roleid}", roles::delete);
    at.get("/access/acl", acl::list);
    at.put("/access/acl", acl::update);
    at.get("/access/permissions", acl::permissions);
    realms::routes(at);
    tfa::routes(at);
}
