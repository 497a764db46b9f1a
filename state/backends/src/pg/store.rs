//! One workspace: its row, and what lies beside it.

use std::sync::Arc;

use async_trait::async_trait;
use stead_state::{BackendError, LockInfo, Store};
use tokio::sync::Mutex;
use tokio_postgres::Row as SqlRow;
use tokio_postgres::types::{FromSql, ToSql};

use super::database::{Database, Pauses, Session, Trouble};
use super::lock::{self, Held, Holder, NOTE, Note, Refused};

#[derive(Debug)]
pub(super) struct Row {
    pub(super) database: Arc<Database>,
    pub(super) workspace: String,
    held: Mutex<Option<Held>>,
}

impl Row {
    pub(super) fn new(database: &Arc<Database>, workspace: &str) -> Row {
        Row {
            database: Arc::clone(database),
            workspace: workspace.to_owned(),
            held: Mutex::new(None),
        }
    }

    /// Over the lock's session when there is one, and never over another then: what is done under a lock that is lost is not done.
    async fn query(
        &self,
        what: &str,
        sql: &str,
        arguments: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<SqlRow>, BackendError> {
        let held = self.held.lock().await;
        match &*held {
            None => {
                drop(held);
                self.database.query(what, sql, arguments).await
            }
            Some(held) => {
                let done = held.session.query(sql, arguments).await;
                done.map_err(|trouble| self.under_lock(what, &trouble))
            }
        }
    }

    /// What failed over a lock's session: the lock goes with the connection.
    fn under_lock(&self, what: &str, trouble: &Trouble) -> BackendError {
        match trouble.ends_session() {
            true => BackendError::LockLost,
            false => self.database.failure(what, trouble),
        }
    }

    /// The first column of the first row, if there is one.
    async fn look_up<T: for<'a> FromSql<'a>>(
        &self,
        what: &str,
        sql: &str,
        arguments: &[&(dyn ToSql + Sync)],
    ) -> Result<Option<T>, BackendError> {
        let rows = self.query(what, sql, arguments).await?;
        let first = rows.first();
        first
            .map(|row| self.database.column(what, row, 0))
            .transpose()
    }

    /// Removes state and files.
    pub(super) async fn remove(&self) -> Result<(), BackendError> {
        let what = "delete the workspace";
        if self.has_room_beside() {
            let beside = format!(
                "DELETE FROM {} WHERE workspace = $1",
                self.database.beside()
            );
            self.query(what, &beside, &[&self.workspace]).await?;
        }
        let state = format!("DELETE FROM {} WHERE name = $1", self.database.states());
        self.query(what, &state, &[&self.workspace]).await?;
        Ok(())
    }

    /// Who has a key, as far as it can be known. Not over the lock's session: it may be the one that is asked about.
    async fn holder(&self, key: i64) -> Result<Option<Holder>, BackendError> {
        let what = "ask who has the lock";
        let rows = self.database.query(what, lock::HOLDER, &[&key]).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let pid: i32 = self.database.column(what, row, 0)?;
        let text = |column| self.database.column::<String>(what, row, column);
        let (user, address, program) = (text(1)?, text(2)?, text(3)?);
        let program = match program.as_str() {
            "" => String::new(),
            name => format!(", program {name}"),
        };
        let note = match self.has_room_beside() {
            true => {
                self.database
                    .query(what, &self.select_beside(), &[&self.workspace, &NOTE])
                    .await?
            }
            false => Vec::new(),
        };
        let note = note
            .first()
            .map(|row| self.database.column::<Vec<u8>>(what, row, 0))
            .transpose()?;
        let note: Option<Note> = note.and_then(|content| serde_json::from_slice(&content).ok());
        Ok(Some(Holder {
            pid,
            session: format!("session {pid} of the user {user} from {address}{program}"),
            info: note.filter(|note| note.pid == pid).map(|note| note.info),
        }))
    }

    /// Takes the lock for a session and says so beside the state; gives its key.
    async fn acquire(&self, session: &Session, info: &LockInfo) -> Result<i64, Refused> {
        let states = self.database.states();
        let key = lock::acquire(session, &states, &self.workspace, info).await?;
        if self.has_room_beside() {
            // The reference's path of a lock is its key.
            let info = LockInfo {
                path: key.to_string(),
                ..info.clone()
            };
            lock::leave_note(session, &self.upsert_beside(), &self.workspace, &info).await?;
        }
        Ok(key)
    }

    /// Ends somebody else's session, which is the only way to take its advisory lock from it. Only when a note of our kind says
    /// that the lock has this id.
    async fn force(&self, id: &str) -> Result<(), BackendError> {
        let what = "look for the lock";
        let query = format!("SELECT id FROM {} WHERE name = $1", self.database.states());
        let Some(key) = self.look_up(what, &query, &[&self.workspace]).await? else {
            return Err(BackendError::LockLost);
        };
        let Some(holder) = self.holder(key).await? else {
            return Err(BackendError::LockLost);
        };
        if holder.info.as_ref().is_some_and(|info| info.id == id) {
            return self.end(holder.pid).await;
        }
        let Holder { pid, session, info } = holder;
        Err(BackendError::Locked {
            holder: info.map(Box::new),
            reason: format!(
                "The lock belongs to the {session}. It ends with that session, which `SELECT pg_terminate_backend({pid})` ends"
            ),
        })
    }

    async fn end(&self, pid: i32) -> Result<(), BackendError> {
        let what = "end the session that has the lock";
        self.database
            .query(what, "SELECT pg_terminate_backend($1)", &[&pid])
            .await?;
        Ok(())
    }

    fn select_beside(&self) -> String {
        format!(
            "SELECT content FROM {} WHERE workspace = $1 AND name = $2",
            self.database.beside()
        )
    }

    fn upsert_beside(&self) -> String {
        format!(
            "INSERT INTO {} (workspace, name, content) VALUES ($1, $2, $3) \
             ON CONFLICT (workspace, name) DO UPDATE SET content = EXCLUDED.content",
            self.database.beside()
        )
    }

    fn delete_beside(&self) -> String {
        format!(
            "DELETE FROM {} WHERE workspace = $1 AND name = $2",
            self.database.beside()
        )
    }
}

#[async_trait]
impl Store for Row {
    fn location(&self) -> String {
        let (place, schema) = (self.database.place(), &self.database.schema);
        format!(
            "{place}, schema \"{schema}\", workspace \"{}\"",
            self.workspace
        )
    }

    async fn read(&self) -> Result<Option<Vec<u8>>, BackendError> {
        let query = format!(
            "SELECT data FROM {} WHERE name = $1",
            self.database.states()
        );
        let data: Option<Option<String>> = self
            .look_up("read the state", &query, &[&self.workspace])
            .await?;
        Ok(data
            .flatten()
            .map(String::into_bytes)
            .filter(|data| !data.is_empty()))
    }

    async fn write(&self, state: &[u8]) -> Result<(), BackendError> {
        let what = "write the state";
        let text = std::str::from_utf8(state)
            .map_err(|e| BackendError::failed(what, format!("it is not text: {e}")))?;
        let upsert = format!(
            "INSERT INTO {} (name, data) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET data = EXCLUDED.data",
            self.database.states()
        );
        self.query(what, &upsert, &[&self.workspace, &text]).await?;
        Ok(())
    }

    async fn lock(&self, info: &LockInfo) -> Result<String, BackendError> {
        let what = "take the lock";
        let mut held = self.held.lock().await;
        held.take_if(|held| held.session.is_lost());
        // Sessions of ours that broke off or were given up: the server may not have noticed yet.
        let mut lost = Vec::new();
        let mut pauses = Pauses::new();
        loop {
            let session = self.database.own_session(what).await?;
            let (key, reason) = match self.acquire(&session, info).await {
                Ok(key) => {
                    let id = info.id.clone();
                    *held = Some(Held { id, key, session });
                    return Ok(info.id.clone());
                }
                Err(Refused::Trouble(trouble)) => {
                    if !trouble.may_pass() || !pauses.wait().await {
                        return Err(self.database.failure(what, &trouble));
                    }
                    lost.push(session.pid);
                    continue;
                }
                Err(Refused::Taken { key, reason }) => (key, reason),
            };
            // The key of creation is one for the whole database: whoever makes a row, be it in another schema, has it for a moment.
            if key == lock::CREATION && pauses.wait().await {
                lost.push(session.pid);
                continue;
            }
            let holder = self.holder(key).await?;
            if let Some(ghost) = holder.as_ref().filter(|holder| lost.contains(&holder.pid))
                && pauses.wait().await
            {
                self.end(ghost.pid).await?;
                continue;
            }
            return Err(match holder {
                Some(Holder { session, info, .. }) => BackendError::Locked {
                    holder: info.map(Box::new),
                    reason: format!("{reason} ({session})"),
                },
                None => BackendError::Locked {
                    holder: None,
                    reason,
                },
            });
        }
    }

    async fn unlock(&self, id: &str) -> Result<(), BackendError> {
        let ours = self.held.lock().await.take_if(|held| held.id == id);
        let Some(ours) = ours else {
            return self.force(id).await;
        };
        if self.has_room_beside() {
            // A note without a lock means nothing, so one that stays does no harm.
            let removed = ours
                .session
                .query(&self.delete_beside(), &[&self.workspace, &NOTE])
                .await;
            if let Err(trouble) = removed {
                tracing::debug!(%trouble, "the note about the lock stays");
            }
        }
        match lock::release(&ours.session, ours.key).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(BackendError::LockLost),
            Err(trouble) => Err(self.under_lock("give the lock back", &trouble)),
        }
    }

    async fn holds(&self, id: &str) -> Result<(), BackendError> {
        let held = self.held.lock().await;
        let Some(ours) = held.as_ref().filter(|held| held.id == id) else {
            return Err(BackendError::LockLost);
        };
        match ours.session.query(lock::HELD_HERE, &[&ours.key]).await {
            // Something between us and the server hands out its sessions by statement.
            Ok(rows) if rows.is_empty() => Err(BackendError::LockLost),
            Ok(_) => Ok(()),
            Err(trouble) => Err(self.under_lock("ask for the lock", &trouble)),
        }
    }

    fn has_room_beside(&self) -> bool {
        self.database.create_tables
    }

    async fn read_beside(&self, name: &str) -> Result<Option<Vec<u8>>, BackendError> {
        if !self.has_room_beside() {
            return Ok(None);
        }
        let what = "read a file beside the state";
        self.look_up(what, &self.select_beside(), &[&self.workspace, &name])
            .await
    }

    async fn write_beside(&self, name: &str, content: &[u8]) -> Result<(), BackendError> {
        let what = "write a file beside the state";
        self.query(
            what,
            &self.upsert_beside(),
            &[&self.workspace, &name, &content],
        )
        .await?;
        Ok(())
    }

    async fn remove_beside(&self, name: &str) -> Result<(), BackendError> {
        if self.has_room_beside() {
            let what = "remove a file beside the state";
            self.query(what, &self.delete_beside(), &[&self.workspace, &name])
                .await?;
        }
        Ok(())
    }

    async fn list_beside(&self) -> Result<Vec<String>, BackendError> {
        if !self.has_room_beside() {
            return Ok(Vec::new());
        }
        let what = "list the files beside the state";
        let query = format!(
            "SELECT name FROM {} WHERE workspace = $1 AND name != $2",
            self.database.beside()
        );
        let rows = self.query(what, &query, &[&self.workspace, &NOTE]).await?;
        let names = rows.iter().map(|row| self.database.column(what, row, 0));
        let mut names: Vec<String> = names.collect::<Result<_, _>>()?;
        names.sort();
        Ok(names)
    }
}
