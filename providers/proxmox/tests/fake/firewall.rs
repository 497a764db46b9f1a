//! Lists of the firewall: rules, security groups and IP sets.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::State;

type Member = BTreeMap<String, String>;
pub(crate) type Lists = BTreeMap<String, Vec<Member>>;

impl State {
    /// The answer, if the path is one of those.
    pub(super) fn firewall(
        &mut self,
        method: &str,
        path: &str,
        form: &BTreeMap<String, String>,
    ) -> Option<Result<Json, String>> {
        for (all, key) in [
            ("/cluster/firewall/groups", "group"),
            ("/cluster/firewall/ipset", "name"),
        ] {
            if path == all {
                return Some(Ok(self.lists(all, key, method, form)));
            }
        }
        if let Some(rest) = path.strip_prefix("/cluster/firewall/ipset/") {
            return Some(self.set(method, path, rest, form));
        }
        let is_rules = |path: &str| {
            path.ends_with("/firewall/rules") || path.starts_with("/cluster/firewall/groups/")
        };
        match path.rsplit_once('/') {
            Some((list, at)) if is_rules(list) && at.parse::<usize>().is_ok() => {
                Some(self.rule(method, list, at.parse().unwrap(), form))
            }
            _ if is_rules(path) => Some(self.rule_list(method, path, form)),
            _ => None,
        }
    }

    /// Groups or sets: making one with `rename` gives another a new name.
    fn lists(
        &mut self,
        all: &str,
        key: &str,
        method: &str,
        form: &BTreeMap<String, String>,
    ) -> Json {
        let at = |name: &str| format!("{all}/{name}");
        if method == "POST" {
            if let Some(old) = form.get("rename") {
                let members = self.rules.remove(&at(old)).unwrap();
                self.named.remove(&at(old));
                self.rules.insert(at(&form[key]), members);
            }
            self.rules.entry(at(&form[key])).or_default();
            let comment = form.get("comment").cloned().unwrap_or_default();
            self.named.insert(at(&form[key]), comment);
        }
        let start = at("");
        let row = |(path, comment): (&String, &String)| {
            Some(json!({ key: path.strip_prefix(&start)?, "comment": comment }))
        };
        self.named.iter().filter_map(row).collect()
    }

    fn rule_list(
        &mut self,
        method: &str,
        path: &str,
        form: &BTreeMap<String, String>,
    ) -> Result<Json, String> {
        let is_group = path.contains("/groups/");
        if is_group && !self.named.contains_key(path) {
            return Err("500 no such security group".into());
        }
        let rules = self.rules.entry(path.to_owned()).or_default();
        match method {
            "POST" => rules.insert(0, form.clone()),
            "DELETE" if !rules.is_empty() => return Err("500 Security group is not empty".into()),
            "DELETE" => {
                self.named.remove(path);
            }
            _ => {
                let row = |(pos, rule): (usize, &Member)| {
                    let mut row = json!(rule);
                    row["pos"] = json!(pos);
                    row
                };
                return Ok(rules.iter().enumerate().map(row).collect());
            }
        }
        Ok(Json::Null)
    }

    fn rule(
        &mut self,
        method: &str,
        list: &str,
        at: usize,
        form: &BTreeMap<String, String>,
    ) -> Result<Json, String> {
        let rules = self.rules.get_mut(list).unwrap();
        if at >= rules.len() {
            return Err(format!("400 no rule at position {at}"));
        }
        match (method, form.get("moveto")) {
            ("DELETE", _) => {
                rules.remove(at);
            }
            // Before the one that had this place when the request came.
            ("PUT", Some(to)) => {
                let to: usize = to.parse().unwrap();
                let rule = rules.remove(at);
                rules.insert(if to > at { to - 1 } else { to }.min(rules.len()), rule);
            }
            _ => {
                let rule = &mut rules[at];
                for name in form.get("delete").into_iter().flat_map(|d| d.split(',')) {
                    assert!(
                        rule.remove(name).is_some(),
                        "deleted {name}, which is not there"
                    );
                }
                rule.extend(
                    form.iter()
                        .filter(|(k, _)| *k != "delete")
                        .map(|(k, v)| (k.clone(), v.clone())),
                );
            }
        }
        Ok(Json::Null)
    }

    fn set(
        &mut self,
        method: &str,
        path: &str,
        rest: &str,
        form: &BTreeMap<String, String>,
    ) -> Result<Json, String> {
        let (name, member) = match rest.split_once('/') {
            Some((name, member)) => (name, Some(member.replace("%2F", "/"))),
            None => (rest, None),
        };
        let list = format!("/cluster/firewall/ipset/{name}");
        if !self.named.contains_key(&list) {
            return Err(format!("500 no such IPSet '{name}' does not exist"));
        }
        let members = self.rules.entry(list).or_default();
        let is_it = |m: &Member| member.as_ref() == Some(&m["cidr"]);
        match (method, &member) {
            ("GET", None) => {
                members.sort();
                return Ok(json!(members));
            }
            ("POST", None) => members.push(form.clone()),
            ("DELETE", None) => {
                assert_eq!(form["force"], "1");
                self.named.remove(path);
            }
            ("DELETE", Some(_)) => members.retain(|m| !is_it(m)),
            _ => members
                .iter_mut()
                .find(|m| is_it(m))
                .unwrap()
                .extend(form.clone()),
        }
        Ok(Json::Null)
    }
}
