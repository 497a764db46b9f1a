//! The table of what is simulated: each area fills in its part, `get`, `post`, `put` or `delete` a path of the contract
//! with a function. What is in no part is answered 501 by name.
//!
//! A function has one of four shapes, and may answer a [`Value`], an [`Answer`](crate::error::Answer) or a [`Reply`]:
//!
//! | shape | for |
//! |---|---|
//! | `fn(&State, &Call)` | looking |
//! | `fn(&mut State, &Call)` | changing |
//! | `fn(&Proxmox, &Call)` | what also needs the contract or the lab |
//! | `async fn(&Px, Call)` | what takes time |

use std::future::Future;
use std::pin::Pin;

use serde_json::{Map, Value, json};

use crate::access::Caller;
use crate::access::check::filled;
use crate::error::ApiError;
use crate::schema::check::{Given, Params, check};
use crate::schema::{Api, Method};
use crate::state::State;
use crate::storage::sums::Sums;
use crate::{
    Proxmox, Px, access, cluster, faults, firewall, guest, node, pools, sdn, storage, task,
};

/// A request that passed privileges and parameter checks.
pub(crate) struct Call {
    pub(crate) verb: String,
    /// As the contract writes it: `/nodes/{node}/qemu`.
    pub(crate) path: String,
    pub(crate) caller: Caller,
    /// The node that was asked.
    pub(crate) at: String,
    pub(crate) params: Params,
    pub(crate) upload: Option<Upload>,
}

/// A file that came with a request: not its bytes, but what is to be known of them.
pub(crate) struct Upload {
    pub(crate) filename: String,
    pub(crate) size: u64,
    /// The first bytes, enough for an image's label.
    pub(crate) head: Vec<u8>,
    pub(crate) sums: Sums,
}

/// What a call answers.
pub(crate) struct Reply {
    pub(crate) data: Value,
    pub(crate) total: Option<usize>,
    /// What else stands beside the data.
    pub(crate) attributes: Map<String, Value>,
}

impl From<Value> for Reply {
    fn from(data: Value) -> Reply {
        Reply {
            data,
            total: None,
            attributes: Map::new(),
        }
    }
}

impl Call {
    pub(crate) fn node(&self) -> &str {
        self.params.text("node")
    }

    /// The VM in the path.
    pub(crate) fn vmid(&self) -> u32 {
        self.params.text("vmid").parse().unwrap_or_default()
    }
}

pub(crate) type Outcome = Result<Reply, ApiError>;
type Pending<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// What a method does.
pub(crate) enum Action {
    Now(Box<dyn Fn(&Proxmox, &Call) -> Outcome + Send + Sync>),
    Later(Box<dyn for<'a> Fn(&'a Px, Call) -> Pending<'a> + Send + Sync>),
}

/// The functions of a version's methods.
pub(crate) struct Routes<'a> {
    api: &'a Api,
    /// By the method's number.
    actions: Vec<Option<Action>>,
    /// Methods that this version's contract does not have.
    absent: Vec<String>,
}

/// What is simulated of a version's methods, each at its number.
pub(crate) fn all(api: &Api) -> Vec<Option<Action>> {
    Routes::all(api).actions
}

const AREAS: &[fn(&mut Routes<'_>)] = &[
    access::routes,
    cluster::routes,
    pools::routes,
    storage::routes,
    node::routes,
    firewall::routes,
    sdn::routes,
    task::routes,
    guest::routes::routes,
];

impl Routes<'_> {
    fn all(api: &Api) -> Routes<'_> {
        let mut routes = Routes {
            api,
            actions: api.methods().iter().map(|_| None).collect(),
            absent: Vec::new(),
        };
        routes.indices();
        for area in AREAS {
            area(&mut routes);
        }
        routes
    }

    pub(crate) fn get<M>(&mut self, path: &str, function: impl Function<M>) {
        self.set("GET", path, function.action());
    }

    pub(crate) fn post<M>(&mut self, path: &str, function: impl Function<M>) {
        self.set("POST", path, function.action());
    }

    pub(crate) fn put<M>(&mut self, path: &str, function: impl Function<M>) {
        self.set("PUT", path, function.action());
    }

    pub(crate) fn delete<M>(&mut self, path: &str, function: impl Function<M>) {
        self.set("DELETE", path, function.action());
    }

    /// Methods that only name what is below them, as the contract says.
    fn indices(&mut self) {
        for method in self.api.methods() {
            let Some(key) = &method.index else { continue };
            let names = self.api.below(&method.path).into_iter();
            let rows: Value = names.map(|name| json!({ key: name })).collect();
            self.get(&method.path, move |_: &State, _: &Call| rows.clone());
        }
    }

    fn set(&mut self, verb: &str, path: &str, action: Action) {
        let method = self.api.named(verb, path);
        match method.and_then(|m| self.actions.get_mut(m.number)) {
            Some(place) => *place = Some(action),
            None => self.absent.push(format!("{verb} {path}")),
        }
    }
}

/// A list of what this cluster has none of.
pub(crate) fn nothing(_: &State, _: &Call) -> Value {
    Value::Array(Vec::new())
}

/// A request for a method: who asks which node, with what.
pub(crate) struct Asked {
    pub(crate) caller: Caller,
    pub(crate) at: String,
    pub(crate) given: Given,
    pub(crate) upload: Option<Upload>,
}

/// Checks the privileges and the parameters of a request, and does what the method does.
pub(crate) async fn perform(px: &Px, method: &Method, asked: Asked) -> Outcome {
    let call = checked(px, method, asked).await?;
    let reply = route(px, method, call).await;
    if method.verb != "GET" {
        px.changed();
    }
    reply
}

async fn checked(px: &Px, method: &Method, asked: Asked) -> Result<Call, ApiError> {
    faults::interfere(px, method, &asked).await?;
    let Asked {
        caller,
        at,
        given,
        upload,
    } = asked;
    let unchecked = Params::unchecked(&given);
    if caller.token.is_some() && !method.allow_token {
        let path = filled(&method.path, &unchecked);
        let text = format!(
            "Permission check failed (URI '{path}' not available with API token, need proper ticket.)"
        );
        return Err(ApiError::new(403, text));
    }
    let permissions = method.permissions.as_ref();
    px.state().permit(&caller, permissions, &unchecked)?;
    if method.path.starts_with("/nodes/{node}") {
        px.reachable(unchecked.text("node"))?;
    }
    Ok(Call {
        verb: method.verb.clone(),
        path: method.path.clone(),
        caller,
        at,
        params: check(&px.api, method, given).map_err(ApiError::parameters)?,
        upload,
    })
}

/// As [`perform`], by the path, as a task does that calls methods for who began it.
pub(crate) async fn perform_at(px: &Px, (verb, path): (&str, &str), mut asked: Asked) -> Outcome {
    let method = found(px, verb, path, &mut asked)?;
    perform(px, method, asked).await
}

/// A call of a method, by its path, that was checked and is yet to be done.
pub(crate) async fn call_of(
    px: &Px,
    (verb, path): (&str, &str),
    mut asked: Asked,
) -> Result<Call, ApiError> {
    let method = found(px, verb, path, &mut asked)?;
    checked(px, method, asked).await
}

fn found<'a>(
    px: &'a Px,
    verb: &str,
    path: &str,
    asked: &mut Asked,
) -> Result<&'a Method, ApiError> {
    let found = px.api.find(verb, path);
    let (method, in_path) = found.ok_or_else(|| ApiError::not_implemented(verb, path))?;
    let in_path = in_path.into_iter().map(|(name, value)| (name, vec![value]));
    asked.given.extend(in_path);
    Ok(method)
}

impl Proxmox {
    fn reachable(&self, node: &str) -> Result<(), ApiError> {
        if !self.state().nodes.contains_key(node) {
            let text = "Name or service not known";
            let text = format!(
                "hostname lookup '{node}' failed - failed to get address info for: {node}: {text}"
            );
            return Err(ApiError::failure(text));
        }
        Ok(())
    }
}

/// Does what the contract's method does.
async fn route(px: &Px, method: &Method, call: Call) -> Outcome {
    match px.actions.get(method.number) {
        Some(Some(Action::Now(action))) => action(px, &call),
        Some(Some(Action::Later(action))) => action(px, call).await,
        _ => {
            let path = call.path.replace("{node}", call.node());
            Err(ApiError::not_implemented(&call.verb, &path))
        }
    }
}

/// What functions may answer.
pub(crate) trait Answers {
    fn outcome(self) -> Outcome;
}

impl Answers for Value {
    fn outcome(self) -> Outcome {
        Ok(self.into())
    }
}

impl Answers for Reply {
    fn outcome(self) -> Outcome {
        Ok(self)
    }
}

impl<T: Answers> Answers for Result<T, ApiError> {
    fn outcome(self) -> Outcome {
        self.and_then(T::outcome)
    }
}

/// A function of one of the four shapes; `M` only tells them apart.
pub(crate) trait Function<M> {
    fn action(self) -> Action;
}

pub(crate) struct Looks;
pub(crate) struct Changes;
pub(crate) struct Asks;
pub(crate) struct Works;

impl<F, R> Function<(Looks, R)> for F
where
    F: Fn(&State, &Call) -> R + Send + Sync + 'static,
    R: Answers,
{
    fn action(self) -> Action {
        Action::Now(Box::new(move |px, call| self(&px.state(), call).outcome()))
    }
}

impl<F, R> Function<(Changes, R)> for F
where
    F: Fn(&mut State, &Call) -> R + Send + Sync + 'static,
    R: Answers,
{
    fn action(self) -> Action {
        Action::Now(Box::new(move |px, call| {
            self(&mut px.state(), call).outcome()
        }))
    }
}

impl<F, R> Function<(Asks, R)> for F
where
    F: Fn(&Proxmox, &Call) -> R + Send + Sync + 'static,
    R: Answers,
{
    fn action(self) -> Action {
        Action::Now(Box::new(move |px, call| self(px, call).outcome()))
    }
}

/// An async function that borrows the simulation.
pub(crate) trait Work<'a> {
    fn start(&self, px: &'a Px, call: Call) -> Pending<'a>;
}

impl<'a, F, W, R> Work<'a> for F
where
    F: Fn(&'a Px, Call) -> W,
    W: Future<Output = R> + Send + 'a,
    R: Answers,
{
    fn start(&self, px: &'a Px, call: Call) -> Pending<'a> {
        let work = self(px, call);
        Box::pin(async move { work.await.outcome() })
    }
}

impl<F> Function<Works> for F
where
    F: for<'a> Work<'a> + Send + Sync + 'static,
{
    fn action(self) -> Action {
        Action::Later(Box::new(move |px, call| self.start(px, call)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Version;

    /// Methods that are answered 501. Taking a line out is progress; the test tells the lines that have to come in.
    const REFUSED: &str = include_str!("../tables/refused.txt");

    #[test]
    fn every_published_method_is_simulated_or_known_to_be_refused() {
        let api = Api::load(Version::V9_2).unwrap();
        let routes = Routes::all(&api);
        let missing = api
            .methods()
            .iter()
            .filter(|method| routes.actions[method.number].is_none())
            .map(|method| format!("{} {}", method.verb, method.path));
        let known: Vec<&str> = REFUSED.lines().collect();
        let unknown: Vec<String> = missing.filter(|m| !known.contains(&m.as_str())).collect();
        assert!(
            unknown.is_empty(),
            "tables/refused.txt:\n{}",
            unknown.join("\n")
        );
    }

    #[test]
    fn every_route_is_one_of_the_contract() {
        let [old, new] = [Version::V8_4, Version::V9_2].map(|v| Api::load(v).unwrap());
        let (old, new) = (Routes::all(&old), Routes::all(&new));
        let mut nowhere: Vec<&String> = new
            .absent
            .iter()
            .filter(|m| old.absent.contains(m))
            .collect();
        // Families of sections create at the list or at the section, as the contract has it.
        nowhere.retain(|method| !method.starts_with("POST"));
        assert!(nowhere.is_empty(), "{nowhere:#?}");
    }
}
