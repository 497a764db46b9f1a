//! Realms whose users an OpenID Connect provider knows.

use stead_sdk::value::Sensitive;
use stead_sdk::{Form, Resource};

use crate::access::REALM;

/// A realm whose users log in with an OpenID Connect provider.
#[derive(Clone, Debug, Resource, Form)]
#[resource(
    name = "proxmox_realm_openid",
    alias = "proxmox_virtual_environment_realm_openid"
)]
pub(crate) struct RealmOpenid {
    /// The realm's name.
    #[attr(computed)]
    id: String,
    /// How surely the provider should know the user (`acr_values`).
    #[attr(optional)]
    acr_values: Option<String>,
    /// Other audiences whose tokens are taken.
    #[attr(optional)]
    audiences: Option<String>,
    /// Make users when they log in for the first time.
    #[attr(optional, computed)]
    #[form(implied = "0")]
    autocreate: Option<bool>,
    /// Who the cluster is to the provider.
    #[attr(required)]
    client_id: String,
    /// The cluster's secret.
    #[attr(optional, sensitive, conflicts("client_key_wo"))]
    #[form(sent)]
    client_key: Option<Sensitive<String>>,
    /// The cluster's secret, kept out of the state.
    #[attr(optional, sensitive, write_only)]
    #[form(name = "client-key")]
    client_key_wo: Option<Sensitive<String>>,
    /// Another number sends `client_key_wo` anew.
    #[attr(optional, requires("client_key_wo"))]
    #[form(skip)]
    client_key_wo_version: Option<i64>,
    /// What people should know.
    #[attr(optional)]
    comment: Option<String>,
    /// Offer this realm first at the login.
    #[attr(optional, computed)]
    #[form(implied = "0")]
    default: Option<bool>,
    /// Make groups that the provider names and the cluster lacks.
    #[attr(optional, computed)]
    #[form(implied = "0")]
    groups_autocreate: Option<bool>,
    /// The claim that names a user's groups.
    #[attr(optional)]
    groups_claim: Option<String>,
    /// Take a user out of groups that the provider does not name.
    #[attr(optional, computed)]
    #[form(implied = "0")]
    groups_overwrite: Option<bool>,
    /// The provider's address.
    #[attr(required)]
    issuer_url: String,
    /// Whether the provider asks the user again: `none`, `login`, `consent`, `select_account`.
    #[attr(optional)]
    prompt: Option<String>,
    /// Ask the provider for the user's claims, beside those of the token.
    #[attr(optional, computed)]
    #[form(implied = "1")]
    query_userinfo: Option<bool>,
    /// The realm's name.
    #[attr(required, replace, length(..=32), pattern(REALM))]
    #[form(create)]
    realm: String,
    /// What is asked for: `email profile`.
    #[attr(optional, computed)]
    #[form(implied = "email profile")]
    scopes: Option<String>,
    /// The claim that names a user.
    #[attr(optional, replace)]
    #[form(create)]
    username_claim: Option<String>,
}
