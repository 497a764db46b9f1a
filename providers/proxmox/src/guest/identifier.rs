//! Identifiers of guests: the server reserves none, and tells two who ask at the same time the same one.

use stead_sdk::{Context, Error};

use crate::client::{Client, params};

/// How often another takes the identifier first before stead gives up.
const RACES: u32 = 8;

/// Runs `attempt` with the wanted identifier, or with free ones until no other is faster.
pub(crate) async fn with_identifier<F>(
    client: &Client,
    cx: &Context,
    wanted: Option<i64>,
    mut attempt: impl FnMut(i64) -> F,
) -> Result<i64, Error>
where
    F: Future<Output = Result<(), Error>>,
{
    if let Some(id) = wanted {
        return attempt(id).await.map(|()| id).map_err(|e| named(e, id));
    }
    let mut races = 0;
    loop {
        let id = next(client, cx).await?;
        match attempt(id).await {
            Err(e) if is_taken(&e) && races < RACES && !cx.is_cancelled() => races += 1,
            other => return other.map(|()| id),
        }
    }
}

/// A free identifier that nobody else in this process was given.
async fn next(client: &Client, cx: &Context) -> Result<i64, Error> {
    let what = "find a free identifier";
    let mut given = client.identifiers.lock().await;
    let mut id = match client.random_ids() {
        Some(range) => draw(&range),
        None => {
            let found = client.get(cx, what, "/cluster/nextid", &Vec::new()).await?;
            let id = found.as_i64().or_else(|| found.as_str()?.parse().ok());
            let id = id.ok_or_else(|| Error::new(what, "the answer is not a number"))?;
            // The server has just said that it is free.
            if given.insert(id) {
                return Ok(id);
            }
            id + 1
        }
    };
    loop {
        if given.insert(id) {
            let probe = params([("vmid", id.to_string())]);
            match client.get(cx, what, "/cluster/nextid", &probe).await {
                Ok(_) => return Ok(id),
                // Taken.
                Err(e) if e.status() == Some(400) => {}
                Err(e) => {
                    given.remove(&id);
                    return Err(e);
                }
            }
        }
        id = match client.random_ids() {
            // As many attempts as there are identifiers: a full range ends.
            Some(range) if range.clone().all(|id| given.contains(&id)) => {
                let said = format!("{} to {} are all taken", range.start(), range.end());
                return Err(Error::new(what, said).remedy(
                    "Widen random_vm_id_start and random_vm_id_end in the provider block.",
                ));
            }
            Some(range) => draw(&range),
            None => id + 1,
        };
    }
}

fn draw(range: &std::ops::RangeInclusive<i64>) -> i64 {
    let width = range.end() - range.start() + 1;
    let fraction: f64 = rand::random();
    // The fraction is below one: the result lies within the range.
    range.start() + (fraction * width as f64) as i64
}

fn is_taken(error: &Error) -> bool {
    ["already exists", "can't lock file"]
        .iter()
        .any(|w| error.said().contains(w))
}

/// What to do when the identifier that people chose is not to be had.
fn named(error: Error, id: i64) -> Error {
    if error.said().contains("can't lock file") {
        return error.remedy(
            "Another task holds the lock of this identifier: apply again when it is done.",
        );
    }
    match is_taken(&error) {
        true => error.remedy(format!(
            "Choose another `vm_id`, leave it out for the next free one, or import what is there: `NODE/{id}`."
        )),
        false => error,
    }
}

/// Why a guest of this identifier cannot be made, if so: found at plan time.
pub(crate) async fn refuse_taken(
    client: &Client,
    cx: &Context,
    noun: &str,
    id: i64,
    attribute: &str,
) -> Result<(), Error> {
    if client.is_managed(id) {
        return Ok(());
    }
    let Some(row) = client.guest(cx, id).await? else {
        return Ok(());
    };
    let remedy = format!(
        "Choose another `{attribute}`, leave it out, or import what is there as {}/{id}.",
        row.node
    );
    let error = Error::new(
        format!("create {noun} {id}"),
        format!("the identifier is taken on {}", row.node),
    );
    Err(error.remedy(remedy).attribute(attribute))
}
