//! The methods that both kinds of guests have, and those of each.

use super::{
    backup, clone, config, console, destroy, disk, feature, migrate, power, rrd, snapshot, status,
    template,
};
use crate::lxc;
use crate::qemu::{agent, cloudinit, create, monitor, update};
use crate::routes::Routes;

pub(crate) fn routes(at: &mut Routes<'_>) {
    for kind in ["qemu", "lxc"] {
        let guests = format!("/nodes/{{node}}/{kind}");
        let guest = |rest: &str| format!("{guests}/{{vmid}}{rest}");
        at.get(&guests, status::list);
        at.delete(&guest(""), destroy::destroy);
        at.get(&guest("/config"), config::read);
        at.get(&guest("/pending"), config::pending);
        at.get(&guest("/status/current"), status::current);
        at.post(&guest("/status/start"), power::start);
        at.post(&guest("/status/stop"), power::stop);
        at.post(&guest("/status/shutdown"), power::shutdown);
        at.post(&guest("/status/reboot"), power::reboot);
        at.post(&guest("/status/suspend"), power::pause);
        at.post(&guest("/status/resume"), power::resume);
        at.post(&guest("/clone"), clone::clone);
        at.post(&guest("/template"), template::template);
        at.put(&guest("/resize"), disk::resize);
        at.get(&guest("/feature"), feature::read);
        at.get(&guest("/rrddata"), rrd::read);
        at.post(&guest("/vncproxy"), console::vnc);
        at.post(&guest("/termproxy"), console::terminal);
        at.post(&guest("/spiceproxy"), console::spice);
        at.get(&guest("/migrate"), migrate::precondition);
        at.post(&guest("/migrate"), migrate::migrate);
        at.get(&guest("/snapshot"), snapshot::list);
        at.post(&guest("/snapshot"), snapshot::create);
        at.get(&guest("/snapshot/{snapname}"), snapshot::index);
        at.delete(&guest("/snapshot/{snapname}"), snapshot::delete);
        at.get(&guest("/snapshot/{snapname}/config"), snapshot::read);
        at.put(&guest("/snapshot/{snapname}/config"), snapshot::describe);
        at.post(&guest("/snapshot/{snapname}/rollback"), snapshot::rollback);
    }
    backup::routes(at);
    qemu_routes(at);
    lxc_routes(at);
}

fn qemu_routes(at: &mut Routes<'_>) {
    let vm = |rest: &str| format!("/nodes/{{node}}/qemu/{{vmid}}{rest}");
    at.post("/nodes/{node}/qemu", create::create);
    at.put(&vm("/config"), update::now);
    at.post(&vm("/config"), update::in_task);
    at.put(&vm("/unlink"), update::unlink);
    at.post(&vm("/status/reset"), power::reset);
    at.post(&vm("/move_disk"), disk::relocate);
    at.get(&vm("/cloudinit"), cloudinit::pending);
    at.put(&vm("/cloudinit"), cloudinit::regenerate);
    at.get(&vm("/cloudinit/dump"), cloudinit::dump);
    at.post(&vm("/monitor"), monitor::monitor);
    at.put(&vm("/sendkey"), monitor::send_key);
    agent::routes(at);
}

fn lxc_routes(at: &mut Routes<'_>) {
    let ct = |rest: &str| format!("/nodes/{{node}}/lxc/{{vmid}}{rest}");
    at.post("/nodes/{node}/lxc", lxc::create::create);
    at.put(&ct("/config"), lxc::update::now);
    at.get(&ct("/interfaces"), lxc::interfaces::list);
    at.post(&ct("/move_volume"), disk::relocate);
}
