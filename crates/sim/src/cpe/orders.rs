//! Carrying out what the ACS orders.

use super::{
    behaviour::{Device, Event},
    order::{Order, Reply, Then},
    tree::{Fault, Setting, Value, WriteRules},
    values, wan,
};
use crate::record::{Told, What};
use sha2::{Digest, Sha256};
use types::UtcMs;

/// Carries out one order and notes it.
pub(super) fn carry_out(device: &mut Device, now: UtcMs, order: &Order) -> (Reply, Then) {
    device.refresh(now);
    let then = device.mishap(order.method());
    let (reply, told) = match order {
        Order::GetMethods => (Reply::Methods, read(Vec::new())),
        Order::GetNames { path, next_level } => {
            let reply = device.tree.names(path, *next_level).map_or_else(Reply::Fault, Reply::Names);
            (reply, read(vec![path.clone()]))
        }
        Order::GetValues(paths) => {
            let readable = !device.spec.quirks.empty_secrets;
            let found = device.tree.values(paths, readable);
            let is_withheld = |value: &&Value| {
                value.value.is_empty()
                    && values::is_secret(&value.path)
                    && device.tree.value(&value.path).is_some_and(|held| !held.is_empty())
            };
            let withheld = found.iter().flatten().filter(is_withheld).count();
            let what = paths.iter().take(64).cloned().collect();
            (found.map_or_else(Reply::Fault, Reply::Values), Told::Read { what, withheld })
        }
        Order::SetValues { settings, key } => set(device, now, settings, key),
        Order::AddObject { table, key } => add(device, table, key),
        Order::DeleteObject { instance, key } => {
            let reply = match device.tree.delete(instance) {
                Ok(()) => {
                    device.tree.write_at_root("ManagementServer.ParameterKey", key);
                    Reply::Deleted
                }
                Err(fault) => Reply::Fault(fault),
            };
            (reply, Told::Deleted { path: instance.clone() })
        }
        Order::GetAttributes(paths) => {
            let known = paths.iter().map(|path| {
                let level = device.state.notifications.get(path).copied().unwrap_or(0);
                device.tree.has(path).then(|| (path.clone(), level)).ok_or_else(|| Fault::new(9005))
            });
            let reply = known.collect::<Result<Vec<_>, _>>().map_or_else(Reply::Fault, Reply::Attributes);
            (reply, read(paths.iter().take(64).cloned().collect()))
        }
        Order::SetAttributes(changes) => {
            let unknown = changes.iter().any(|(path, _)| !device.tree.has(path));
            if !unknown {
                for (path, level) in changes {
                    if let Some(level) = level {
                        device.state.notifications.insert(path.clone(), *level);
                    }
                }
            }
            let reply = if unknown { Reply::Fault(Fault::new(9005)) } else { Reply::AttributesSet };
            (reply, Told::Attributes { paths: changes.iter().map(|(path, _)| path.clone()).collect() })
        }
        Order::Reboot { key } => {
            device.after_session(Event { code: "M Reboot".to_owned(), key: key.clone() });
            (Reply::Rebooting, Told::Reboot)
        }
        Order::FactoryReset => {
            device.reset_after_session();
            (Reply::Resetting, Told::FactoryReset)
        }
        Order::ScheduleInform { delay_s, key } => {
            let at = now.plus(device.real(u64::from(*delay_s) * 1000));
            device.state.scheduled = Some((at, key.clone()));
            (Reply::Scheduled, Told::Other)
        }
        Order::Unsupported(_) => (Reply::Fault(Fault::new(9000)), Told::Other),
    };
    let fault = match &reply {
        Reply::Fault(fault) => Some(fault.code),
        _ => None,
    };
    let method = order.method().to_owned();
    device.note(now, What::Order { method, told, fault, answered: then == Then::Answer });
    (reply, then)
}

fn read(what: Vec<String>) -> Told {
    Told::Read { what, withheld: 0 }
}

/// A connection that was made and is gone when it is first written to: with its route, as the device drops both.
fn vanish(device: &mut Device, now: UtcMs, settings: &[Setting]) {
    let concerns = |made: &mut String| settings.iter().any(|setting| setting.path.starts_with(made.as_str()));
    let Some(path) = device.state.about_to_vanish.take_if(concerns) else { return };
    wan::drop_policy_route(&mut device.tree, &path);
    if device.tree.delete(&path).is_ok() {
        device.note(now, What::Vanished { path });
    }
}

fn set(device: &mut Device, now: UtcMs, settings: &[Setting], key: &str) -> (Reply, Told) {
    vanish(device, now, settings);
    if let Some(code) = device.refuses_test(settings) {
        let settings = settings.iter().map(|setting| (setting.path.clone(), shown(setting))).collect();
        return (Reply::Fault(Fault::new(code)), Told::Set { settings, changed: 0, lost: 0 });
    }
    let quirks = &device.spec.quirks;
    let rules = WriteRules {
        non_atomic: quirks.non_atomic_set,
        phantom: quirks.phantom_writes,
        max_settings: quirks.max_settings,
        born_unconfigured: quirks.born_unconfigured,
    };
    let (locks, old_interval) = (quirks.cr_401_after_wan_change, interval(device));
    let written = device.tree.set(settings, rules);
    if written.fault.is_none() {
        device.tree.write_at_root("ManagementServer.ParameterKey", key);
        device.tests_written(settings);
    }
    for path in &written.changed {
        device.notice_change(path);
    }
    if locks && written.changed.iter().any(|path| touches_wan(path)) {
        device.state.locked_401 = true;
    }
    if settings.iter().any(|setting| setting.path.ends_with("ManagementServer.ConnectionRequestPassword"))
        && written.fault.is_none()
        && !written.changed.iter().any(|path| touches_wan(path))
    {
        device.state.locked_401 = false;
    }
    if interval(device) != old_interval {
        device.plan_periodic(now);
    }
    let told = Told::Set {
        settings: settings.iter().map(|setting| (setting.path.clone(), shown(setting))).collect(),
        changed: written.changed.len(),
        lost: written.lost.len(),
    };
    (written.fault.map_or(Reply::Set, Reply::Fault), told)
}

fn interval(device: &Device) -> (Option<String>, Option<String>) {
    let text = |name: &str| device.tree.at_root(&format!("ManagementServer.{name}")).map(str::to_owned);
    (text("PeriodicInformEnable"), text("PeriodicInformInterval"))
}

/// A value for the record: secrets as a short hash, so that a repetition is seen and the secret is not.
fn shown(setting: &Setting) -> String {
    if values::is_secret(&setting.path) {
        format!("sha256:{}", &hex::encode(Sha256::digest(&setting.value))[..12])
    } else {
        setting.value.chars().take(256).collect()
    }
}

/// True for everything that belongs to a WAN.
pub(crate) fn touches_wan(path: &str) -> bool {
    [
        "WANDevice.",
        "Device.PPP.",
        "Device.IP.Interface.",
        "Device.Ethernet.",
        "Device.NAT.",
        "Layer3Forwarding.",
        "Device.Routing.",
    ]
    .iter()
    .any(|part| path.contains(part))
}

fn add(device: &mut Device, table: &str, key: &str) -> (Reply, Told) {
    let quirks = &device.spec.quirks;
    let name = table.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let refused = quirks.add_object_refused.iter().any(|one| one == name || table == one);
    let added = if refused {
        Err(Fault::new(9004))
    } else {
        device.tree.add(table, !quirks.instance_numbers_never_reset)
    };
    match added {
        Ok(number) => {
            let path = format!("{table}{number}.");
            let mac = device.spec.mac.to_string();
            device.tree.write(&format!("{path}MACAddress"), &mac);
            if device.spec.quirks.born_unconfigured && device.tree.has(&format!("{path}ConnectionType")) {
                device.tree.write(&format!("{path}ConnectionType"), "Unconfigured");
            }
            if name.starts_with("WANPPPConnection") || name.starts_with("WANIPConnection") {
                wan::add_policy_route(&mut device.tree, &path);
                if device.spec.quirks.new_wan_vanishes && !device.state.vanished {
                    device.state.vanished = true;
                    device.state.about_to_vanish = Some(path.clone());
                }
            }
            if device.spec.quirks.cr_401_after_wan_change && touches_wan(&path) {
                device.state.locked_401 = true;
            }
            device.tree.write_at_root("ManagementServer.ParameterKey", key);
            (Reply::Added(number), Told::Added { path })
        }
        Err(fault) => (Reply::Fault(fault), Told::Added { path: table.to_owned() }),
    }
}
