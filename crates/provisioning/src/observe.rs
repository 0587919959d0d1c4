//! Reading the device: names first, then only the leaves somebody cares about. Never a secret.

use crate::{
    Effect, sentences,
    session::Purpose,
    talk::{DeviceFault, DeviceRequest, NameInfo, ParamValue},
    work::{Move, Work},
};
use profiles::cpe::CpeProfile;
use types::{CwmpFault, names_a_secret};

/// Names of interest kept of one device in one session; the whole tree of a large device has fewer than 10 000 names.
const MAX_NAMES: usize = 20_000;

impl Work<'_> {
    /// Makes sure that everything under these objects is known. `None` = it is.
    pub(crate) fn observe(&mut self, profile: &CpeProfile, objects: &[String]) -> Option<Move> {
        let session = self.session();
        if let Some(path) = objects.iter().find(|path| !session.listed.contains(*path)).cloned() {
            return Some(self.request(
                Purpose::List { path: path.clone() },
                DeviceRequest::GetNames { path, next_level: false },
            ));
        }
        let limit = session.read_limit.unwrap_or(profile.write.max_names).clamp(1, profile.write.max_names);
        let mut unread = Vec::new();
        for object in objects {
            for (path, node) in session.tree.under(object) {
                let wanted = node.value.is_none()
                    && !path.ends_with('.')
                    && profile.is_interesting(path)
                    && !profile.is_secret(path)
                    && !names_a_secret(path)
                    && !session.unreadable.contains_key(path);
                if wanted && unread.len() < usize::try_from(limit).unwrap_or(1) {
                    unread.push(path.to_owned());
                }
            }
        }
        if unread.is_empty() {
            return None;
        }
        Some(
            self.request(Purpose::Read { paths: unread.clone() }, DeviceRequest::GetValues { paths: unread }),
        )
    }

    pub(crate) fn names_listed(&mut self, path: String, names: &[NameInfo]) {
        let profiles = self.context.profiles.clone();
        let session = self.session();
        for name in names {
            if session.tree.len() >= MAX_NAMES {
                break;
            }
            if name.path.starts_with(&path) && profiles.is_interesting(&name.path) {
                session.tree.list(name);
            }
        }
        session.listed.insert(path);
    }

    pub(crate) fn values_read(&mut self, asked: Vec<String>, values: &[ParamValue]) {
        let session = self.session();
        for value in values {
            if asked.contains(&value.path) {
                session.tree.read(value);
            }
        }
        // What was not asked for is not wanted, least of all in the database.
        let shown: Vec<ParamValue> = values
            .iter()
            .filter(|value| asked.contains(&value.path) && !names_a_secret(&value.path))
            .cloned()
            .collect();
        // A leaf that was listed and is not in the answer would be asked for for ever.
        for path in asked {
            if session.tree.value(&path).is_none() {
                session.unreadable.insert(path, 0);
            }
        }
        if !shown.is_empty() {
            self.effect(Effect::RecordObserved(shown));
        }
    }

    /// A listing faulted: that object is not there, or nobody knows what is in it.
    pub(crate) fn listing_faulted(&mut self, path: String, fault: &DeviceFault) {
        if !matches!(fault.code, 9003 | 9005) {
            let reason = sentences::device_fault("GetParameterNames", fault.code, &fault.text);
            let class = CwmpFault::of(fault.code).class;
            self.fault(
                class,
                Some(fault.code),
                &fault.text,
                Some(path.clone()),
                Some("GetParameterNames"),
                &reason,
            );
            self.session().unlisted.insert(path.clone(), fault.code);
        }
        self.session().listed.insert(path);
    }

    /// One bad name faults a whole batch and nobody says which: halve it until it is alone.
    pub(crate) fn reading_faulted(&mut self, paths: Vec<String>, fault: &DeviceFault) {
        let session = self.session();
        match paths.as_slice() {
            [one] => {
                session.unreadable.insert(one.clone(), fault.code);
                session.read_limit = None;
            }
            _ => session.read_limit = Some(u32::try_from(paths.len() / 2).unwrap_or(1).max(1)),
        }
    }
}
