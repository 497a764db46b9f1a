//! Users, API tokens, roles and the access-control list.

pub(crate) mod api;
pub(crate) mod check;
pub(crate) mod login;
pub(crate) mod roles;

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::options::Options;

#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct Access {
    pub(crate) users: BTreeMap<String, User>,
    /// Roles beyond the built-in ones.
    pub(crate) roles: BTreeMap<String, BTreeSet<String>>,
    /// By path, then by user or token, then by role: whether it propagates.
    pub(crate) acl: BTreeMap<String, BTreeMap<String, BTreeMap<String, bool>>>,
    /// Signs tickets.
    key: [u8; 16],
}

#[derive(Clone, Default, Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) disabled: bool,
    pub(crate) comment: Option<String>,
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

impl Caller {
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
        for (name, privileges) in &options.roles {
            access
                .roles
                .insert(name.clone(), privileges.iter().cloned().collect());
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

    /// Makes a token; `None` when there is no such user.
    pub(crate) fn add_token(
        &mut self,
        user: &str,
        id: &str,
        secret: &str,
        privsep: bool,
    ) -> Option<&mut Token> {
        let token = Token::new(&self.key, secret, privsep);
        let tokens = &mut self.users.get_mut(user)?.tokens;
        tokens.insert(id.to_owned(), token);
        tokens.get_mut(id)
    }

    /// The privileges of a caller on a path.
    pub(crate) fn privileges(
        &self,
        caller: &Caller,
        path: &str,
        pool: Option<&str>,
    ) -> BTreeSet<String> {
        let own = |subject: &str| {
            let mut held = self.roles_at(subject, path);
            if let Some(pool) = pool
                && !held.contains("NoAccess")
            {
                held.extend(self.roles_at(subject, &format!("/pool/{pool}")));
            }
            held.iter()
                .flat_map(|role| self.role(role))
                .collect::<BTreeSet<String>>()
        };
        let of_user = || {
            if caller.user == "root@pam" {
                roles::all()
            } else {
                own(&caller.user)
            }
        };
        let token = caller
            .token
            .as_ref()
            .map(|id| self.users.get(&caller.user).and_then(|u| u.tokens.get(id)));
        match token {
            None => of_user(),
            Some(None) => BTreeSet::new(),
            Some(Some(token)) if !token.privsep => of_user(),
            Some(Some(_)) => own(&caller.name())
                .intersection(&of_user())
                .cloned()
                .collect(),
        }
    }

    pub(crate) fn role(&self, name: &str) -> BTreeSet<String> {
        self.roles
            .get(name)
            .cloned()
            .or_else(|| roles::built_in(name))
            .unwrap_or_default()
    }

    /// Roles of a subject at a path: what is set nearest to it counts, from above only if it propagates.
    fn roles_at(&self, subject: &str, path: &str) -> BTreeSet<String> {
        let mut held = BTreeSet::new();
        for ancestor in ancestors(path) {
            let Some(set) = self
                .acl
                .get(&ancestor)
                .and_then(|subjects| subjects.get(subject))
            else {
                continue;
            };
            let counts = set
                .iter()
                .filter(|(_, propagate)| **propagate || ancestor == path);
            let here: BTreeSet<String> = counts.map(|(role, _)| role.clone()).collect();
            if here.contains("NoAccess") {
                held = BTreeSet::from(["NoAccess".to_owned()]);
            } else if !here.is_empty() {
                held = here;
            }
        }
        held
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
fn ancestors(path: &str) -> Vec<String> {
    let mut found = vec!["/".to_owned()];
    let mut so_far = String::new();
    for part in path.split('/').filter(|p| !p.is_empty()) {
        so_far = format!("{so_far}/{part}");
        found.push(so_far.clone());
    }
    found
}

fn hash(key: &[u8], secret: &str) -> String {
    let mut hasher = Sha256::new();
    hasher.update(key);
    hasher.update(secret.as_bytes());
    STANDARD_NO_PAD.encode(hasher.finalize())
}
