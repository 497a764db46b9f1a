//! Realms whose users an LDAP directory knows.

use stead_sdk::form::Params;
use stead_sdk::value::Sensitive;
use stead_sdk::{Form, Resource};

use crate::access::REALM;
use crate::rest::Hooks;

/// A realm whose users log in against an LDAP directory.
#[derive(Clone, Debug, Resource, Form)]
#[resource(
    name = "proxmox_realm_ldap",
    alias = "proxmox_virtual_environment_realm_ldap"
)]
pub(crate) struct RealmLdap {
    /// The realm's name.
    #[attr(computed)]
    id: String,
    /// Where in the directory the users are.
    #[attr(required)]
    #[form(name = "base_dn")]
    base_dn: String,
    /// Whom the server asks the directory as.
    #[attr(optional)]
    #[form(name = "bind_dn")]
    bind_dn: Option<String>,
    /// The password of `bind_dn`. The server does not tell it again.
    #[attr(optional, sensitive, requires("bind_dn"))]
    #[form(name = "password", sent)]
    bind_password: Option<Sensitive<String>>,
    /// The certificates of the authorities: a file or folder of the node.
    #[attr(optional)]
    #[form(name = "capath", implied = "/etc/ssl/certs")]
    ca_path: Option<String>,
    /// Tell capital letters in user names apart.
    #[attr(optional, computed, default = true)]
    case_sensitive: bool,
    /// The key of the certificate that the server shows: a file of the node.
    #[attr(optional, requires("cert_path"))]
    #[form(name = "certkey")]
    cert_key_path: Option<String>,
    /// The certificate that the server shows: a file of the node.
    #[attr(optional, requires("cert_key_path"))]
    #[form(name = "cert")]
    cert_path: Option<String>,
    /// What people should know.
    #[attr(optional)]
    comment: Option<String>,
    /// Offer this realm first at the login.
    #[attr(optional, computed, default = false)]
    default: bool,
    /// Which users count, as an LDAP filter.
    #[attr(optional)]
    filter: Option<String>,
    /// The object classes of groups.
    #[attr(optional)]
    #[form(name = "group_classes")]
    group_classes: Option<String>,
    /// Where in the directory the groups are.
    #[attr(optional)]
    #[form(name = "group_dn")]
    group_dn: Option<String>,
    /// Which groups count, as an LDAP filter.
    #[attr(optional)]
    #[form(name = "group_filter")]
    group_filter: Option<String>,
    /// The attribute that names a group.
    #[attr(optional)]
    #[form(name = "group_name_attr")]
    group_name_attr: Option<String>,
    /// How the directory is spoken to.
    #[attr(
        optional,
        one_of("ldap", "ldaps", "ldap+starttls"),
        conflicts("secure")
    )]
    #[form(implied = "ldap")]
    mode: Option<String>,
    /// The port, if it is not the usual one.
    #[attr(optional, range(1..=65535))]
    port: Option<i64>,
    /// The realm's name.
    #[attr(required, replace, length(..=32), pattern(REALM))]
    #[form(create)]
    realm: String,
    /// The older way to say `mode = "ldaps"`.
    #[attr(
        optional,
        computed,
        default = false,
        conflicts("mode"),
        deprecated = "Use mode."
    )]
    secure: bool,
    /// The directory's host.
    #[attr(required)]
    server1: String,
    /// Another host, for when the first is down.
    #[attr(optional)]
    server2: Option<String>,
    /// The TLS version with `ldaps`; better left to the two sides.
    #[attr(optional, one_of("tlsv1", "tlsv1_1", "tlsv1_2", "tlsv1_3"))]
    #[form(name = "sslversion")]
    ssl_version: Option<String>,
    /// Which of the directory's attributes are a user's: `email=mail,firstname=givenName`.
    #[attr(optional)]
    #[form(name = "sync_attributes")]
    sync_attributes: Option<String>,
    /// What a synchronization does unless it says otherwise: `scope=users,enable-new=1`.
    #[attr(optional)]
    sync_defaults_options: Option<String>,
    /// The attribute that names a user.
    #[attr(optional, computed, default = "uid")]
    #[form(name = "user_attr")]
    user_attr: String,
    /// The object classes of users.
    #[attr(optional)]
    #[form(name = "user_classes")]
    user_classes: Option<String>,
    /// Check the directory's certificate.
    #[attr(optional, computed, default = false)]
    verify: bool,
}

impl Hooks for RealmLdap {
    fn send(&self, _prior: Option<&Self>, form: &mut Params) {
        // `mode` takes its place, and the server wants one of them.
        if self.mode.is_some() {
            form.retain(|(name, _)| name != "secure");
        }
    }
}
