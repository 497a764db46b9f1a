//! The small objects of the API: kept as the parameters they were made of, by their paths.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

/// A collection of objects.
struct Collection {
    path: &'static str,
    /// The parameter that names an object in a create.
    key: &'static str,
    /// Parameters that are lists.
    lists: &'static [&'static str],
}

const COLLECTIONS: &[Collection] = &[
    Collection {
        path: "/cluster/ha/groups",
        key: "group",
        lists: &[],
    },
    Collection {
        path: "/storage",
        key: "storage",
        lists: &[],
    },
    Collection {
        path: "/cluster/mapping/pci",
        key: "id",
        lists: &["map"],
    },
    Collection {
        path: "/cluster/sdn/zones",
        key: "zone",
        lists: &[],
    },
    Collection {
        path: "/cluster/sdn/vnets",
        key: "vnet",
        lists: &[],
    },
    Collection {
        path: "/cluster/sdn/vnets/net/subnets",
        key: "subnet",
        lists: &["dhcp-range"],
    },
    Collection {
        path: "/cluster/sdn/controllers",
        key: "controller",
        lists: &[],
    },
    Collection {
        path: "/cluster/sdn/fabrics/fabric",
        key: "id",
        lists: &[],
    },
    Collection {
        path: "/cluster/sdn/fabrics/node/fab",
        key: "node_id",
        lists: &["interfaces"],
    },
    Collection {
        path: "/nodes/pve/network",
        key: "iface",
        lists: &[],
    },
    Collection {
        path: "/nodes/pve/disks/zfs",
        key: "name",
        lists: &[],
    },
    Collection {
        path: "/nodes/pve/qemu/100/firewall/aliases",
        key: "name",
        lists: &[],
    },
];

/// What there always is: set by PUT, or by POST.
const SETTINGS: &[&str] = &[
    "/nodes/pve/config",
    "/nodes/pve/dns",
    "/nodes/pve/hosts",
    "/nodes/pve/time",
    "/nodes/pve/firewall/options",
    "/cluster/firewall/options",
    "/nodes/pve/qemu/100/firewall/options",
];

/// Parameters in their order; names may be repeated.
pub(crate) type Form = Vec<(String, String)>;

/// Objects by their paths.
#[derive(Default)]
pub(crate) struct Objects(pub(crate) BTreeMap<String, BTreeMap<String, Vec<String>>>);

impl Objects {
    /// The answer, if the path is one of a small object.
    pub(crate) fn answer(
        &mut self,
        method: &str,
        path: &str,
        form: &Form,
    ) -> Option<Result<Json, String>> {
        if SETTINGS.contains(&path) {
            let settings = self.0.entry(path.to_owned()).or_default();
            if method != "GET" {
                // This file is written anew every time.
                if path.ends_with("/dns") {
                    settings.clear();
                }
                put(settings, form);
            }
            let of = Collection {
                path: "",
                key: "",
                lists: &[],
            };
            return Some(Ok(shown(&of, settings)));
        }
        if let Some(collection) = COLLECTIONS.iter().find(|c| c.path == path) {
            return Some(self.collection(collection, method, form));
        }
        let (parent, _) = path.rsplit_once('/')?;
        let collection = COLLECTIONS.iter().find(|c| c.path == parent)?;
        Some(self.object(collection, method, path, form))
    }

    fn collection(&mut self, of: &Collection, method: &str, form: &Form) -> Result<Json, String> {
        match method {
            "GET" => {
                let start = format!("{}/", of.path);
                let rows = self.0.iter().filter(|(path, _)| path.starts_with(&start));
                Ok(rows.map(|(_, object)| shown(of, object)).collect())
            }
            "POST" => {
                let key = &form.iter().find(|(name, _)| name == of.key).unwrap().1;
                // Subnets get a name of their own.
                let is_subnet = of.key == "subnet";
                let name = match is_subnet {
                    true => format!("zone-{}", key.replace('/', "-")),
                    false => key.clone(),
                };
                let path = format!("{}/{name}", of.path);
                if self.0.contains_key(&path) {
                    return Err(format!("500 {key} already exists"));
                }
                let object = self.0.entry(path).or_default();
                put(object, form);
                if is_subnet {
                    object.insert("cidr".into(), vec![key.clone()]);
                    object.insert("subnet".into(), vec![name]);
                }
                Ok(Json::Null)
            }
            _ => Err("501 not implemented".into()),
        }
    }

    fn object(
        &mut self,
        of: &Collection,
        method: &str,
        path: &str,
        form: &Form,
    ) -> Result<Json, String> {
        let missing = || match of.key {
            "iface" => {
                "400 Parameter verification failed. iface: interface does not exist".to_owned()
            }
            _ => format!("500 no such resource '{path}'"),
        };
        match method {
            "GET" => self
                .0
                .get(path)
                .map(|object| shown(of, object))
                .ok_or_else(missing),
            "PUT" => {
                put(self.0.get_mut(path).ok_or_else(missing)?, form);
                Ok(Json::Null)
            }
            "DELETE" => self.0.remove(path).map(|_| Json::Null).ok_or_else(missing),
            _ => Err("501 not implemented".into()),
        }
    }
}

fn put(object: &mut BTreeMap<String, Vec<String>>, form: &Form) {
    let given: Vec<_> = form.iter().map(|(name, _)| name).collect();
    object.retain(|name, _| !given.contains(&name));
    for (name, value) in form {
        if name == "delete" {
            for gone in value.split(',') {
                assert!(
                    object.remove(gone).is_some(),
                    "deleted {gone}, which is not there"
                );
            }
        } else {
            object.entry(name.clone()).or_default().push(value.clone());
        }
    }
}

fn shown(of: &Collection, object: &BTreeMap<String, Vec<String>>) -> Json {
    let member = |(name, values): (&String, &Vec<String>)| {
        let value = if of.lists.contains(&name.as_str()) {
            json!(values)
        } else {
            json!(values[0])
        };
        (name.clone(), value)
    };
    Json::Object(object.iter().map(member).collect::<Map<_, _>>())
}
