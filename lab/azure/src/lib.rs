//! The lab's Azure: Entra ID, Resource Manager, Key Vault and Blob storage of one tenant and one subscription.
//!
//! Served with the lab's certificate authority at Azure's own host names, so that other people's clients need no more than
//! the lab's gateway (`HTTPS_PROXY`) and root certificate. What is not simulated answers 501 by name.
//!
//! Faults (see `stead_lab_core::Faults`): `azure` strikes every request; `azure.throttle` answers ARM with 429;
//! `azure.rbac-lag` lets a data plane not know a role assignment yet; `azure.principal-lag` answers PrincipalNotFound;
//! `azure.container-being-deleted` and `azure.secret-being-deleted` keep a deleted name busy; `azure.read-lag` lets a read of
//! an ARM resource miss it.

mod arm;
mod blob;
mod entra;
mod graph;
mod http;
mod metadata;
mod roles;
mod state;
mod token;
mod vault;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use rand::RngExt;
use serde::Serialize;
use stead_lab_core::faults::Effect;
use stead_lab_core::{Lab, Saver};

use crate::http::{Answer, Call};
use crate::state::{Assignment, Pending, State};

/// Most that one request body may hold: the largest single Put Blob that clients of the lab send.
const LARGEST_BODY: usize = 256 * 1024 * 1024;

/// A password: never printed.
#[derive(Clone)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// An application of the lab's tenant, with its service principal.
#[derive(Clone, Debug)]
pub struct Principal {
    pub name: String,
    pub client_id: String,
    pub client_secret: Secret,
    pub object_id: String,
    /// Names of built-in roles that it has at the subscription from the start.
    pub subscription_roles: Vec<String>,
}

/// Tenant, subscription and applications of the lab.
#[derive(Clone, Debug)]
pub struct Options {
    pub tenant_id: String,
    pub subscription_id: String,
    pub principals: Vec<Principal>,
}

impl Default for Options {
    /// The lab's fixed identifiers: an application that owns the subscription, and one without any role, as External
    /// Secrets would use.
    fn default() -> Options {
        let principal = |name: &str, n: u8, roles: &[&str]| Principal {
            name: name.to_owned(),
            client_id: format!("57ead000-0000-4000-8000-0000000000{n}1"),
            object_id: format!("57ead000-0000-4000-8000-0000000000{n}2"),
            client_secret: Secret(format!("{name}-secret-of-the-stead-lab")),
            subscription_roles: roles.iter().map(|&r| r.to_owned()).collect(),
        };
        Options {
            tenant_id: "57ead000-0000-4000-8000-00000000000b".to_owned(),
            subscription_id: "57ead000-0000-4000-8000-00000000000a".to_owned(),
            principals: vec![
                principal("deployer", 1, &["Owner"]),
                principal("external-secrets", 2, &[]),
            ],
        }
    }
}

/// What the lab's Azure holds, for the lab's own report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Inventory {
    pub resource_groups: Vec<String>,
    pub key_vaults: Vec<String>,
    pub deleted_key_vaults: Vec<String>,
    /// `VAULT/NAME`, without deleted ones.
    pub secrets: Vec<String>,
    pub storage_accounts: Vec<String>,
    /// `ACCOUNT/NAME`.
    pub containers: Vec<String>,
    pub blobs: usize,
    pub identities: Vec<String>,
    /// Without those that the lab's applications have from the start.
    pub role_assignments: usize,
}

/// The running simulation.
pub struct Azure {
    cloud: Arc<Cloud>,
}

/// Everything that the services share.
pub(crate) struct Cloud {
    pub(crate) lab: Lab,
    pub(crate) options: Options,
    state: Arc<Mutex<State>>,
    saver: Saver,
}

/// Starts Azure with the lab's fixed identifiers.
pub async fn start(lab: &Lab) -> io::Result<Arc<Azure>> {
    start_with(lab, Options::default()).await
}

/// Starts Azure with a tenant, subscription and applications of the caller's.
pub async fn start_with(lab: &Lab, options: Options) -> io::Result<Arc<Azure>> {
    let mut state: State = lab.store.load("azure")?.unwrap_or_default();
    if state.signing_key.is_empty() {
        state.signing_key = random_hex(32);
    }
    seed_roles(&mut state, &options)?;
    let state = Arc::new(Mutex::new(state));
    let saved = state.clone();
    let saver = Saver::start(lab, "azure", move || Saved(saved.clone()));
    let cloud = Arc::new(Cloud {
        lab: lab.clone(),
        options,
        state,
        saver,
    });
    for (names, handle) in SERVICES {
        listen(&cloud, names, *handle).await?;
    }
    cloud.saver.changed();
    Ok(Arc::new(Azure { cloud }))
}

/// Creator of the role assignments that exist from the start.
const SEEDED: &str = "lab";

type Handler = fn(&Cloud, &Call) -> Answer;

/// Host names and who answers there.
const SERVICES: &[(&[&str], Handler)] = &[
    (
        &["login.microsoftonline.com", "login.windows.net"],
        entra::handle,
    ),
    (&["management.azure.com"], arm::handle),
    (&["graph.microsoft.com"], graph::handle),
    (&["*.vault.azure.net"], vault::handle),
    (&["*.blob.core.windows.net"], blob::handle),
];

async fn listen(cloud: &Arc<Cloud>, names: &[&str], handle: Handler) -> io::Result<()> {
    let owned: Vec<String> = names.iter().map(|&n| n.to_owned()).collect();
    let tls = cloud.lab.authority.server_config(&owned)?;
    let Some((first, others)) = names.split_first() else {
        return Ok(());
    };
    let listener = cloud.lab.network.listen(first, 443).await?;
    for other in others {
        cloud.lab.network.route(other, 443, listener.local_addr()?);
    }
    let service = cloud.clone();
    let router = axum::Router::new()
        .fallback(move |request: Request| answer(service.clone(), handle, request));
    stead_lab_core::serve(&cloud.lab, "azure", listener, Some(tls), router);
    Ok(())
}

async fn answer(
    cloud: Arc<Cloud>,
    handle: Handler,
    request: Request<Body>,
) -> axum::response::Response {
    let (parts, body) = request.into_parts();
    let head = parts.method == axum::http::Method::HEAD;
    let mut answer = match axum::body::to_bytes(body, LARGEST_BODY).await {
        Err(_) => Answer::empty(413),
        Ok(body) => {
            let header_host = parts.headers.get("host").and_then(|h| h.to_str().ok());
            let host = parts.uri.host().or(header_host).unwrap_or_default();
            let call = Call {
                host: host
                    .split(':')
                    .next()
                    .unwrap_or_default()
                    .to_ascii_lowercase(),
                raw_path: parts.uri.path().to_owned(),
                segments: parts
                    .uri
                    .path()
                    .split('/')
                    .filter(|s| !s.is_empty())
                    .map(|s| http::decode(s, false))
                    .collect(),
                query: http::pairs(parts.uri.query().unwrap_or_default()),
                method: parts.method,
                headers: parts.headers,
                body,
            };
            handle(&cloud, &call)
        }
    };
    if head && !answer.headers.iter().any(|(k, _)| *k == "content-length") {
        let length = answer.body.len().to_string();
        answer = answer.with("content-length", length);
    }
    let mut response = answer.into_response();
    if head {
        *response.body_mut() = Body::empty();
    }
    response
}

impl Azure {
    /// What exists now.
    pub fn inventory(&self) -> Inventory {
        let state = self.cloud.state();
        let seeded = |a: &Assignment| a.created_by == SEEDED;
        let mut inventory = Inventory {
            resource_groups: state.groups.values().map(|g| g.name.clone()).collect(),
            key_vaults: state.vaults.values().map(|v| v.name.clone()).collect(),
            deleted_key_vaults: state
                .deleted_vaults
                .values()
                .map(|v| v.vault.name.clone())
                .collect(),
            storage_accounts: state.accounts.keys().cloned().collect(),
            identities: state.identities.values().map(|i| i.name.clone()).collect(),
            role_assignments: state.assignments.values().filter(|a| !seeded(a)).count(),
            ..Inventory::default()
        };
        for vault in state.vaults.values() {
            let live = vault.secrets.values().filter(|s| s.deleted.is_none());
            inventory
                .secrets
                .extend(live.map(|s| format!("{}/{}", vault.name, s.name)));
        }
        for account in state.accounts.values() {
            inventory.containers.extend(
                account
                    .containers
                    .keys()
                    .map(|c| format!("{}/{c}", account.name)),
            );
            inventory.blobs += account
                .containers
                .values()
                .map(|c| c.blobs.len())
                .sum::<usize>();
        }
        inventory
    }

    /// Environment variables with which Azure's own tools and providers find and enter this cloud (secret included).
    pub fn environment(&self) -> Vec<(String, Secret)> {
        let options = &self.cloud.options;
        let mut all = vec![
            (
                "ARM_TENANT_ID".to_owned(),
                Secret(options.tenant_id.clone()),
            ),
            (
                "ARM_SUBSCRIPTION_ID".to_owned(),
                Secret(options.subscription_id.clone()),
            ),
            (
                "AZURE_TENANT_ID".to_owned(),
                Secret(options.tenant_id.clone()),
            ),
        ];
        if let Some(first) = options.principals.first() {
            for prefix in ["ARM", "AZURE"] {
                all.push((
                    format!("{prefix}_CLIENT_ID"),
                    Secret(first.client_id.clone()),
                ));
                all.push((
                    format!("{prefix}_CLIENT_SECRET"),
                    first.client_secret.clone(),
                ));
            }
        }
        all
    }

    /// Tenant, subscription and applications.
    pub fn options(&self) -> &Options {
        &self.cloud.options
    }
}

impl Cloud {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the state saved soon.
    pub(crate) fn changed(&self) {
        self.saver.changed();
    }

    /// Whether a fault of the lab's Azure strikes now.
    pub(crate) fn fault(&self, name: &str) -> bool {
        // A delay belongs to whole requests (`azure`), not to a decision.
        matches!(
            self.lab.faults.strike(&format!("azure.{name}")),
            Some(Effect::On | Effect::Drop | Effect::Status { .. })
        )
    }

    pub(crate) fn knows_tenant(&self, tenant: &str) -> bool {
        tenant.eq_ignore_ascii_case(&self.options.tenant_id)
    }

    /// Milliseconds that something of this lifelike length takes at the lab's pace.
    pub(crate) fn lasting(&self, seconds: u64) -> i64 {
        i64::try_from(
            self.lab
                .settings
                .duration(Duration::from_secs(seconds))
                .as_millis(),
        )
        .unwrap_or(i64::MAX)
    }

    /// Something under way that lasts so long, and is seen under way at least once.
    pub(crate) fn pending(&self, seconds: u64) -> Pending {
        Pending {
            ready_at: http::now().saturating_add(self.lasting(seconds)),
            looks: 1,
        }
    }

    pub(crate) fn subscription_scope(&self) -> String {
        format!("/subscriptions/{}", self.options.subscription_id)
    }
}

/// Gives the lab's applications the roles that they have from the start.
fn seed_roles(state: &mut State, options: &Options) -> io::Result<()> {
    let scope = format!("/subscriptions/{}", options.subscription_id);
    for principal in &options.principals {
        for role in &principal.subscription_roles {
            let found = roles::ROLES.iter().find(|r| r.name == role);
            let role = found.ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!("no built-in role is called {role:?}"),
                )
            })?;
            let seed = format!("{}/{}", principal.object_id, role.id);
            let name = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, seed.as_bytes()).to_string();
            let id = format!("{scope}/providers/Microsoft.Authorization/roleAssignments/{name}");
            let assignment = Assignment {
                role_definition_id: format!(
                    "{scope}/providers/Microsoft.Authorization/roleDefinitions/{}",
                    role.id
                ),
                role: role.id.to_owned(),
                id: id.clone(),
                name,
                scope: scope.clone(),
                principal_id: principal.object_id.clone(),
                principal_type: "ServicePrincipal".to_owned(),
                description: None,
                condition: None,
                condition_version: None,
                delegated_identity: None,
                created: http::now(),
                created_by: SEEDED.to_owned(),
                effective_at: 0,
            };
            state
                .assignments
                .entry(id.to_ascii_lowercase())
                .or_insert(assignment);
        }
    }
    Ok(())
}

/// The state as it is saved: locked only while it is written down, not while the disk works.
struct Saved(Arc<Mutex<State>>);

impl Serialize for Saved {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .serialize(serializer)
    }
}

/// So many random bytes in hexadecimal.
pub(crate) fn random_hex(bytes: usize) -> String {
    let mut random = vec![0_u8; bytes];
    rand::rng().fill(random.as_mut_slice());
    random.iter().map(|b| format!("{b:02x}")).collect()
}
