//! Long-running operations: 202 with `Location` until done, then 200.

use uuid::Uuid;

use super::{Arm, Outcome};
use crate::http::{Answer, error, now};
use crate::state::{Ending, Operation, Pending};

impl Arm<'_> {
    /// Registers an operation; the answer's `Location` is `{path}/{id}`.
    pub(crate) fn accept(&self, path: &str, pending: Pending, ends: Ending) -> Answer {
        let id = Uuid::new_v4().to_string();
        let wait = retry_after(&pending);
        self.cloud
            .state()
            .operations
            .insert(id.clone(), Operation { pending, ends });
        self.cloud.changed();
        let version = self.call.param("api-version").unwrap_or_default();
        let url = format!(
            "https://management.azure.com{}{path}/{id}?api-version={version}",
            self.cloud.subscription_scope()
        );
        Answer::empty(202)
            .with("location", url)
            .with("retry-after", wait)
    }

    /// One poll of an operation.
    pub(crate) fn poll(&self, id: &str) -> Outcome {
        let mut state = self.cloud.state();
        let Some(operation) = state.operations.get_mut(id) else {
            return Err(error(
                404,
                "OperationNotFound",
                format!("The operation '{id}' was not found."),
            ));
        };
        let running = operation.pending.look(now());
        let (wait, ends) = (retry_after(&operation.pending), operation.ends.clone());
        self.cloud.changed();
        if running {
            // Clients poll the URL of the header, which is this one.
            let query = self.call.param("api-version").unwrap_or_default();
            let url = format!(
                "https://management.azure.com{}?api-version={query}",
                self.call.raw_path
            );
            return Ok(Answer::empty(202)
                .with("location", url)
                .with("retry-after", wait));
        }
        match ends {
            Ending::Empty => Ok(Answer::empty(200)),
            Ending::GroupGone(group) => {
                state.groups.remove(&group);
                Ok(Answer::empty(200))
            }
            Ending::Account(name) => match state.accounts.get_mut(&name) {
                Some(account) => {
                    account.creating = None;
                    Ok(Answer::json(200, &self.account_json(account)))
                }
                None => Err(error(
                    404,
                    "ResourceNotFound",
                    format!("The storage account '{name}' was not found."),
                )),
            },
        }
    }
}

/// Seconds until the operation should be asked for, 15 at most.
fn retry_after(pending: &Pending) -> String {
    ((pending.ready_at - now()).clamp(0, 15_000) / 1000).to_string()
}
