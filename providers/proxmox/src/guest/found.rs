//! Data sources: the machines and containers of the cluster, one by its identifier or many by their properties.

use stead_sdk::{Block, Context, DataSource, Error, async_trait};

use crate::client::{Client, Row};
use crate::guest::Kind;

/// What a list tells of one guest.
#[derive(Clone, Debug, Default, Block)]
#[block(legacy)]
pub(crate) struct Listed {
    #[attr(computed)]
    name: String,
    #[attr(required)]
    node_name: String,
    /// Such as `running` or `stopped`.
    #[attr(optional)]
    status: String,
    #[attr(computed)]
    tags: Vec<String>,
    #[attr(optional)]
    template: bool,
    #[attr(required)]
    vm_id: i64,
}

impl From<&Row> for Listed {
    fn from(row: &Row) -> Listed {
        let mut tags = row.tags.clone();
        tags.sort();
        Listed {
            name: row.name.clone(),
            node_name: row.node.clone(),
            status: row.status.clone(),
            tags,
            template: row.template,
            vm_id: row.id,
        }
    }
}

/// Keeps the guests of which a property has one of the values.
#[derive(Clone, Debug, Default, Block)]
pub(crate) struct Filter {
    /// `name`, `template`, `status` or `node_name`.
    #[attr(required)]
    name: String,
    /// The values are regular expressions.
    #[attr(optional, default = false)]
    regex: bool,
    #[attr(required)]
    values: Vec<String>,
}

impl Filter {
    fn keeps(&self, row: &Row) -> Result<bool, Error> {
        let property = match self.name.as_str() {
            "name" => row.name.clone(),
            "node_name" => row.node.clone(),
            "status" => row.status.clone(),
            "template" => row.template.to_string(),
            other => {
                let said = format!("{other:?} is no property to filter by");
                let error = Error::new("filter guests", said).attribute("filter");
                return Err(error.remedy("Write name, node_name, status or template."));
            }
        };
        for value in &self.values {
            let matches = match self.regex {
                false => *value == property,
                true => pattern(value)?.is_match(&property),
            };
            if matches {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn pattern(text: &str) -> Result<regex::Regex, Error> {
    regex::Regex::new(text).map_err(|e| {
        let said = format!("{text:?} is no regular expression: {e}");
        Error::new("filter guests", said).attribute("filter")
    })
}

/// The guests of a kind that the filters keep, by their identifiers.
async fn listed(
    client: &Client,
    cx: &Context,
    kind: Kind,
    node: Option<&str>,
    tags: &[String],
    filters: &[Filter],
) -> Result<Vec<Listed>, Error> {
    let all = client.guests(cx).await?;
    let mut kept = Vec::new();
    for row in all
        .iter()
        .filter(|row| row.is_container == (kind == Kind::Container))
    {
        let mut keep = node.is_none_or(|node| node == row.node);
        keep &= tags.iter().all(|tag| row.tags.contains(tag));
        for filter in filters {
            keep = keep && filter.keeps(row)?;
        }
        if keep {
            kept.push(row);
        }
    }
    kept.sort_by_key(|row| row.id);
    Ok(kept.into_iter().map(Listed::from).collect())
}

/// The data sources of one kind of guest: one by its identifier, and the list.
macro_rules! sources {
    ($kind:expr, $one:ident $one_name:literal, $many:ident $many_name:literal, $list:ident) => {
        /// One guest, by its identifier; it is found on whichever node it is.
        #[derive(Clone, Debug, Default, DataSource)]
        #[data_source(name = $one_name, legacy)]
        pub(crate) struct $one {
            #[attr(optional, computed)]
            id: String,
            #[attr(computed)]
            name: String,
            #[attr(required)]
            node_name: String,
            /// Such as `running` or `stopped`.
            #[attr(optional)]
            status: String,
            #[attr(computed)]
            tags: Vec<String>,
            #[attr(optional)]
            template: bool,
            #[attr(required)]
            vm_id: i64,
        }

        #[async_trait]
        impl DataSource for $one {
            type Client = Client;

            async fn read(client: &Client, config: Self, cx: &Context) -> Result<Self, Error> {
                let row = client.guest(cx, config.vm_id).await?;
                let row = row.filter(|row| row.is_container == ($kind == Kind::Container));
                let row = row.ok_or_else(|| {
                    let noun = $kind.noun();
                    let said = format!("there is no such {noun} in the cluster");
                    Error::not_found(format!("read {noun} {}", config.vm_id), said)
                        .attribute("vm_id")
                })?;
                let found = Listed::from(&row);
                Ok($one {
                    id: row.id.to_string(),
                    name: found.name,
                    status: found.status,
                    tags: found.tags,
                    template: found.template,
                    ..config
                })
            }
        }

        /// All guests of the kind that node, tags and filters leave, by their identifiers.
        #[derive(Clone, Debug, Default, DataSource)]
        #[data_source(name = $many_name, legacy)]
        pub(crate) struct $many {
            #[attr(optional, computed)]
            id: String,
            /// Only those of this node.
            #[attr(optional)]
            node_name: Option<String>,
            /// Only those that have all of these.
            #[attr(optional)]
            tags: Vec<String>,
            #[attr(computed)]
            $list: Vec<Listed>,
            #[attr(block(list))]
            filter: Vec<Filter>,
        }

        #[async_trait]
        impl DataSource for $many {
            type Client = Client;

            async fn read(client: &Client, config: Self, cx: &Context) -> Result<Self, Error> {
                let node = config.node_name.as_deref().filter(|node| !node.is_empty());
                let $list = listed(client, cx, $kind, node, &config.tags, &config.filter).await?;
                Ok($many {
                    // Published providers make up another one at each reading.
                    id: stringify!($list).to_owned(),
                    $list,
                    ..config
                })
            }
        }
    };
}

sources!(
    Kind::Machine,
    MachineSource "proxmox_virtual_environment_vm",
    MachinesSource "proxmox_virtual_environment_vms",
    vms
);
sources!(
    Kind::Container,
    ContainerSource "proxmox_virtual_environment_container",
    ContainersSource "proxmox_virtual_environment_containers",
    containers
);
