//! The time zone of a node.

use jiff::Timestamp;
use jiff::tz::Offset;
use serde_json::Value as Json;
use stead_sdk::form::Unreadable;
use stead_sdk::{Context, Error, Form, Resource, async_trait};

use crate::client::{Client, number};
use crate::rest::Hooks;
use crate::rest::codec::moment;

/// The time zone of a node. It stays as it is when this is destroyed.
#[derive(Clone, Debug, Resource, Form)]
#[resource(name = "proxmox_virtual_environment_time", legacy)]
pub(crate) struct Time {
    /// `NODE_time`.
    #[attr(optional, computed)]
    #[form(path)]
    id: String,
    /// The time on the node when it was read.
    #[attr(computed(unknown_on_change))]
    #[form(skip)]
    local_time: String,
    /// The node.
    #[attr(required, replace)]
    #[form(path)]
    node_name: String,
    /// The time zone: `Europe/Berlin`.
    #[attr(required)]
    #[form(name = "timezone")]
    time_zone: String,
    /// The time on the node when it was read, in UTC.
    #[attr(computed(unknown_on_change))]
    #[form(name = "time", with = moment)]
    utc_time: String,
}

#[async_trait]
impl Hooks for Time {
    /// The server tells the local time as if it were UTC.
    fn found(&mut self, answer: &Json) -> Result<bool, Unreadable> {
        let (utc, local) = (number(answer, "time"), number(answer, "localtime"));
        let Some((utc, local)) = utc.zip(local) else {
            return Err(Unreadable::new("a time").within("localtime"));
        };
        let offset = i32::try_from(local - utc).ok();
        let offset = offset.and_then(|seconds| Offset::from_seconds(seconds).ok());
        let at = Timestamp::from_second(utc).ok().zip(offset);
        let (at, offset) = at.ok_or(Unreadable::new("a time"))?;
        self.local_time = at.display_with_offset(offset).to_string();
        Ok(true)
    }

    async fn remove(&self, _client: &Client, _cx: &Context) -> Result<(), Error> {
        Ok(())
    }
}
