//! The lock, as the reference has it: the advisory lock on the id of the workspace's row, which is taken only while -1 is free, and -1
//! while a row is made. It belongs to a session and ends with it.

use serde::{Deserialize, Serialize};
use serde_json::json;
use stead_state::LockInfo;

use super::database::{Session, Trouble};

/// Held by whoever makes a row, in any schema of the database.
pub(super) const CREATION: i64 = -1;

/// Where our own note about a lock lies; no file beside a state can have this name.
pub(super) const NOTE: &str = "@lock";

/// Asks who has a key: the server's process, user, address and program.
pub(super) const HOLDER: &str = "SELECT l.pid, coalesce(a.usename, '?')::text, \
    coalesce(host(a.client_addr), 'the same machine'), coalesce(a.application_name, '') \
    FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid \
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 \
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
    AND (l.classid::bigint << 32) | l.objid::bigint = $1";

/// Asks whether this session has a key.
pub(super) const HELD_HERE: &str = "SELECT 1 FROM pg_locks \
    WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND pid = pg_backend_pid() \
    AND (classid::bigint << 32) | objid::bigint = $1";

/// A lock, and the session that it lives in.
pub(super) struct Held {
    pub(super) id: String,
    pub(super) key: i64,
    pub(super) session: Session,
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Held");
        shown
            .field("id", &self.id)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// Who has a lock: PostgreSQL knows the session only.
#[derive(Serialize, Deserialize)]
pub(super) struct Note {
    /// Of the server's process for the session. The note counts while this one has the lock.
    pub(super) pid: i32,
    pub(super) info: LockInfo,
}

/// Whoever has a key.
pub(super) struct Holder {
    pub(super) pid: i32,
    /// For people.
    pub(super) session: String,
    pub(super) info: Option<LockInfo>,
}

/// Why a lock was not had.
pub(super) enum Refused {
    /// Somebody has this key; the reason is in the reference's words.
    Taken {
        key: i64,
        reason: String,
    },
    Trouble(Trouble),
}

impl From<Trouble> for Refused {
    fn from(trouble: Trouble) -> Self {
        Refused::Trouble(trouble)
    }
}

/// Takes the workspace's lock for this session; gives its key. Where there is no row yet it is made, with an empty state. What is
/// taken on the way to a refusal ends with the session.
pub(super) async fn acquire(
    session: &Session,
    states: &str,
    workspace: &str,
    info: &LockInfo,
) -> Result<i64, Refused> {
    let taken = |key, reason: &str| Refused::Taken {
        key,
        reason: format!("{reason}: {workspace}"),
    };
    let query = format!(
        "SELECT id, pg_try_advisory_lock(id), pg_try_advisory_lock({CREATION}) FROM {states} WHERE name = $1"
    );
    if let Some(row) = session.query(&query, &[&workspace]).await?.first() {
        let (key, locked): (i64, bool) = (cell(row, 0)?, cell(row, 1)?);
        if !cell(row, 2)? {
            // Not safe to touch: whoever makes a row may be making this one.
            let reason = match locked {
                true => {
                    return Err(taken(
                        CREATION,
                        "Cannot lock workspace; already locked for workspace creation",
                    ));
                }
                false => "Workspace is already locked",
            };
            return Err(taken(key, reason));
        }
        release(session, CREATION).await?;
        return match locked {
            true => Ok(key),
            false => Err(taken(key, "Workspace is already locked")),
        };
    }
    let rows = session
        .query("SELECT pg_try_advisory_lock($1)", &[&CREATION])
        .await?;
    if !first(&rows)?.unwrap_or(false) {
        return Err(taken(CREATION, "Already locked for workspace creation"));
    }
    // The reference makes the row too: the lock needs its id.
    let insert =
        format!("INSERT INTO {states} (name, data) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING");
    session
        .query(&insert, &[&workspace, &empty_state(info)])
        .await?;
    let query = format!("SELECT id, pg_try_advisory_lock(id) FROM {states} WHERE name = $1");
    let rows = session.query(&query, &[&workspace]).await?;
    release(session, CREATION).await?;
    match rows.first() {
        Some(row) if cell(row, 1)? => Ok(cell(row, 0)?),
        Some(row) => Err(taken(cell(row, 0)?, "Workspace is already locked")),
        None => Err(taken(CREATION, "The workspace was deleted meanwhile")),
    }
}

/// Gives an advisory lock back; `false` when this session did not have it.
pub(super) async fn release(session: &Session, key: i64) -> Result<bool, Trouble> {
    let rows = session
        .query("SELECT pg_advisory_unlock($1)", &[&key])
        .await?;
    Ok(first(&rows)?.unwrap_or(false))
}

/// Leaves a note about our lock, for whom it keeps out. The lock is the same without it.
pub(super) async fn leave_note(
    session: &Session,
    upsert: &str,
    workspace: &str,
    info: &LockInfo,
) -> Result<(), Trouble> {
    let note = Note {
        pid: session.pid,
        info: info.clone(),
    };
    let content = serde_json::to_vec(&note).unwrap_or_default();
    session
        .query(upsert, &[&workspace, &NOTE, &content])
        .await?;
    Ok(())
}

/// What the reference writes into a new workspace.
fn empty_state(info: &LockInfo) -> String {
    let state = json!({
        "version": 4, "terraform_version": "1.11.4", "serial": 0,
        // As random as a lineage must be: ids of locks are UUIDs.
        "lineage": info.id,
        "outputs": {}, "resources": [], "check_results": null,
    });
    format!("{state:#}")
}

fn cell<'a, T: tokio_postgres::types::FromSql<'a>>(
    row: &'a tokio_postgres::Row,
    column: usize,
) -> Result<T, Trouble> {
    Ok(row.try_get(column)?)
}

fn first(rows: &[tokio_postgres::Row]) -> Result<Option<bool>, Trouble> {
    rows.first().map(|row| cell(row, 0)).transpose()
}
