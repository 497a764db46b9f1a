//! API tokens.

use serde_json::{Value, json};

use super::{Token, User};
use crate::error::{Answer, ApiError};
use crate::routes::Call;
use crate::state::State;

impl Token {
    pub(super) fn shown(&self) -> Value {
        let mut row = json!({ "privsep": u8::from(self.privsep), "expire": self.expire });
        if let Some(comment) = &self.comment {
            row["comment"] = comment.clone().into();
        }
        row
    }
}

/// A user's tokens with their ids.
pub(super) fn rows(user: &User) -> Value {
    let rows = user.tokens.iter().map(|(id, token)| {
        let mut row = token.shown();
        row["tokenid"] = id.clone().into();
        row
    });
    rows.collect()
}

fn ids(call: &Call) -> (&str, &str) {
    (call.params.text("userid"), call.params.text("tokenid"))
}

fn missing((user, id): (&str, &str)) -> ApiError {
    ApiError::failure(format!("no such token '{id}' for user '{user}'"))
}

impl State {
    pub(super) fn token(&self, user: &str, id: &str) -> Result<&Token, ApiError> {
        let tokens = &self.access.user(user)?.tokens;
        tokens.get(id).ok_or_else(|| missing((user, id)))
    }

    fn token_mut(&mut self, user: &str, id: &str) -> Result<&mut Token, ApiError> {
        self.token(user, id)?;
        let user_found = self.access.users.get_mut(user);
        let token = user_found.and_then(|u| u.tokens.get_mut(id));
        token.ok_or_else(|| missing((user, id)))
    }
}

/// `GET /access/users/{userid}/token`
pub(crate) fn list(state: &State, call: &Call) -> Answer {
    Ok(rows(state.access.user(call.params.text("userid"))?))
}

/// `GET /access/users/{userid}/token/{tokenid}`
pub(crate) fn read(state: &State, call: &Call) -> Answer {
    let (user, id) = ids(call);
    Ok(state.token(user, id)?.shown())
}

/// `POST /access/users/{userid}/token/{tokenid}`: the secret is told only now.
pub(crate) fn create(state: &mut State, call: &Call) -> Answer {
    let (params, (user, id)) = (&call.params, ids(call));
    if state.access.user(user)?.tokens.contains_key(id) {
        return Err(ApiError::parameter("tokenid", "Token already exists."));
    }
    let secret = state.uuid();
    let privsep = !params.has("privsep") || params.is_on("privsep");
    let mut token = Token::new(&state.access.key, &secret, privsep);
    token.expire = params.number("expire").unwrap_or(0);
    token.comment = params.get("comment").map(str::to_owned);
    let mut info = json!({ "privsep": u8::from(privsep) });
    if params.has("expire") {
        info["expire"] = token.expire.into();
    }
    if let Some(comment) = &token.comment {
        info["comment"] = comment.clone().into();
    }
    if let Some(owner) = state.access.users.get_mut(user) {
        owner.tokens.insert(id.to_owned(), token);
    }
    Ok(json!({ "full-tokenid": format!("{user}!{id}"), "value": secret, "info": info }))
}

/// `PUT /access/users/{userid}/token/{tokenid}`
pub(crate) fn update(state: &mut State, call: &Call) -> Answer {
    let (params, (user, id)) = (&call.params, ids(call));
    state.token(user, id)?;
    let delete = params.list("delete");
    if let Some(option) = delete.iter().find(|o| *o != "comment") {
        let text = format!("unknown option '{option}'");
        return Err(ApiError::parameter("delete", text));
    }
    let secret = params.is_on("regenerate").then(|| state.uuid());
    let key = state.access.key;
    let token = state.token_mut(user, id)?;
    if params.has("privsep") {
        token.privsep = params.is_on("privsep");
    }
    token.expire = params.number("expire").unwrap_or(token.expire);
    if let Some(comment) = params.get("comment") {
        token.comment = Some(comment.to_owned()).filter(|c| !c.is_empty());
    }
    if !delete.is_empty() {
        token.comment = None;
    }
    if let Some(secret) = &secret {
        token.secret = super::hash(&key, secret);
    }
    let mut row = token.shown();
    if let Some(secret) = secret {
        row["value"] = secret.into();
        row["full-tokenid"] = format!("{user}!{id}").into();
    }
    Ok(row)
}

/// `DELETE /access/users/{userid}/token/{tokenid}`
pub(crate) fn delete(state: &mut State, call: &Call) -> Answer {
    let (user, id) = ids(call);
    state.token(user, id)?;
    if let Some(owner) = state.access.users.get_mut(user) {
        owner.tokens.remove(id);
    }
    let name = format!("{user}!{id}");
    state.access.forget(|subject, _| subject == name);
    Ok(Value::Null)
}
