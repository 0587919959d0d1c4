//! Making a device ours, and its clock right: the only writes before the gates open.

use profiles::cpe::{CpeProfile, Setting, Variable, pattern_of};
use types::{CwmpFault, FaultClass};

use crate::{
    Effect, Evidence, Layer, Proof, State, Timer,
    clock::read_clock,
    device::{KeptInterval, NotKept},
    plan::{ALONE, Item, LayerPlan, PlanStep},
    sentences,
    session::{Purpose, WrittenItem},
    talk::{DeviceFault, DeviceRequest},
    work::{Move, Work},
};

/// Writes of one leaf in one session before we believe that the device does not keep it.
const TRIES: u32 = 2;
/// Sessions in which a leaf is not kept, or is refused, before it is written only as often as credentials are repaired, once a day.
const STUBBORN: u32 = 3;
/// Leaves that are remembered as not kept; more than the settings of any family.
const MOST_NOT_KEPT: usize = 32;

/// An inform interval that is not the one that was written, and passes.
struct Kept {
    path: String,
    kept_s: u32,
    /// Who accepts it of this model; none: it is near enough.
    accepted_by: Option<String>,
}

/// The setting of the inform interval.
fn interval_setting(profile: &CpeProfile) -> Option<&Setting> {
    let mut settings = profile.management.phases.iter().flat_map(|phase| &phase.settings);
    settings.find(|setting| setting.variable() == Some(Variable::InformInterval))
}

/// This leaf is where the setting is written.
fn sets(setting: &Setting, path: &str) -> bool {
    setting.set.iter().any(|leaf| path.ends_with(&leaf.leaf))
}

impl Work<'_> {
    /// INFORMED: linked to exactly one service, vouched for, our settings confirmed by read-back.
    pub(crate) fn own(&mut self) -> Move {
        if self.device.quarantined() {
            return Move::Finish;
        }
        if !self.trusted() {
            let reason = self.untrusted_reason();
            self.say(reason);
            return Move::Finish;
        }
        if self.device.ownership.confirmed_at.is_none() || self.device.ownership.repair_due {
            match self.write_ownership() {
                Ok(()) => {}
                Err(next) => return next,
            }
        }
        let interval = self.device.inform_interval_s.unwrap_or(self.context.policy.inform_interval_s);
        self.goto(State::Owned, sentences::owned(interval));
        Move::Again
    }

    /// `Ok` when everything readable reads as wanted and every secret was accepted.
    pub(crate) fn write_ownership(&mut self) -> Result<(), Move> {
        let Some(credentials) = self.context.credentials.clone() else {
            self.effect(Effect::MakeCredentials);
            self.say(sentences::credentials_missing());
            return Err(Move::Finish);
        };
        let Some(profile) = self.profile_or_nominee() else {
            self.say(sentences::model_unknown(&self.device.identity.product_class.clone()));
            return Err(Move::Finish);
        };
        if let Some(why) = profile.only_read() {
            // Not even our own management settings: the family is looked at, never told anything.
            self.say(sentences::profile_read_only(&why));
            return Err(Move::Finish);
        }
        if let Some(next) = self.observe(&profile, &profile.management.list) {
            return Err(next);
        }
        let interval = self.context.policy.inform_interval_for(&self.device.identity.serial_number);
        let plan = match self.planning(&profile, |planner| planner.ownership(&credentials, interval)) {
            Ok(plan) => plan,
            Err(blocked) => {
                self.say(blocked.reason);
                return Err(Move::Finish);
            }
        };
        let kept = self.kept_interval(&profile, &plan.wanted);
        let rest_s = self.context.policy.credentials_rewrite_s;
        let stubborn: Vec<NotKept> =
            self.device.ownership.not_kept.iter().filter(|kept| kept.sessions >= STUBBORN).cloned().collect();
        let now = self.now;
        let rests_until = |item: &Item| {
            let known = stubborn.iter().find(|k| k.path == item.path && k.wanted == item.value.masked())?;
            Some(known.at.plus_s(rest_s)).filter(|until| *until > now)
        };
        let mut resting = None;
        let mut items = Vec::new();
        for step in plan.steps {
            let PlanStep::Write { items: written, .. } = step else { continue };
            for item in written {
                match &kept {
                    Some(kept) if kept.path == item.path => {}
                    _ if rests_until(&item).is_some() => resting = Some(item),
                    _ => items.push(item),
                }
            }
            if !items.is_empty() {
                break;
            }
        }
        if let Some(item) = items.iter().find(|item| self.tried(&item.path) >= TRIES).cloned() {
            let reason = self.remember_not_kept(&profile, &item);
            self.fault(FaultClass::Device, None, &reason.text, Some(item.path.clone()), None, &reason);
            self.say(reason);
            return Err(Move::Finish);
        }
        match (items.is_empty(), resting) {
            (true, None) => {
                self.ownership_confirmed(&plan.wanted, interval, kept);
                return Ok(());
            }
            (true, Some(item)) => {
                let fault =
                    stubborn.iter().find(|k| k.path == item.path).and_then(|known| known.fault.as_deref());
                let (path, wanted, until) = (&item.path, item.value.masked(), rests_until(&item));
                let reason = match fault {
                    Some(fault) => sentences::ownership_refused(path, &wanted, fault, until),
                    None => {
                        let observed = self.session().tree.value(path).unwrap_or("nothing").to_owned();
                        let own = self.own_interval(&profile, &item);
                        sentences::ownership_not_kept(path, &wanted, &observed, until, own)
                    }
                };
                self.say(reason);
                return Err(Move::Finish);
            }
            (false, _) => {}
        }
        if self.device.ownership.repair_due {
            // The chance of this day is used up when it is taken, whatever becomes of it: a device that refuses what is
            // written, or hangs up over it, is not written to at every Inform.
            self.repair_is_tried();
        }
        let written = items.iter().map(Item::written).collect();
        Err(self.write(Purpose::WriteOwnership { items: written }, &items))
    }

    /// The inform interval that the device keeps, if it is not the one that was written and passes all the same: because it
    /// is near enough, or because somebody accepts it of this model. It was written in this session or before, and is
    /// not written again.
    fn kept_interval(&mut self, profile: &CpeProfile, wanted: &[Item]) -> Option<Kept> {
        let setting = interval_setting(profile)?;
        let item = wanted.iter().find(|item| sets(setting, &item.path))?;
        let kept_s: u32 = self.session().tree.value(&item.path)?.trim().parse().ok()?;
        let written_s: u32 = item.value.expose().parse().ok()?;
        if kept_s == written_s {
            return None;
        }
        let ownership = &self.device.ownership;
        let known = ownership.kept_interval == Some(KeptInterval { written_s, kept_s })
            || ownership.not_kept.iter().any(|k| k.path == item.path && k.wanted == item.value.masked());
        let told = known || self.tried(&item.path) > 0;
        let near = setting.kept_within.is_some_and(|within| within.allows(written_s.into(), kept_s.into()));
        let accepted = self.context.policy.accepted_interval.as_ref().filter(|_| !near);
        let accepted_by = accepted.filter(|accepted| accepted.interval_s == kept_s).map(|a| a.by.clone());
        (told && (near || accepted_by.is_some())).then(|| Kept {
            path: item.path.clone(),
            kept_s,
            accepted_by,
        })
    }

    /// What the device keeps, if this is its inform interval and it keeps one: that can be accepted.
    fn own_interval(&mut self, profile: &CpeProfile, item: &Item) -> Option<u32> {
        let is_interval = interval_setting(profile).is_some_and(|setting| sets(setting, &item.path));
        let kept_s = self.session().tree.value(&item.path)?.trim().parse().ok()?;
        (is_interval && kept_s > 0).then_some(kept_s)
    }

    /// Remembers that a leaf is not kept, and says so.
    fn remember_not_kept(&mut self, profile: &CpeProfile, item: &Item) -> crate::Reason {
        let own = self.own_interval(profile, item);
        let observed = self.session().tree.value(&item.path).unwrap_or("nothing").to_owned();
        let wanted = item.value.masked();
        let again = self.count_not_kept(&item.path, &wanted, None);
        sentences::ownership_not_kept(&item.path, &wanted, &observed, again, own)
    }

    /// One more session in which a leaf was not kept or was refused; until when it is left alone, if it is from now on.
    fn count_not_kept(&mut self, path: &str, wanted: &str, fault: Option<String>) -> Option<types::UtcMs> {
        let now = self.now;
        let known = &mut self.device.ownership.not_kept;
        let place = known.iter().position(|before| before.path == path);
        let before = place.map(|place| known.remove(place)).filter(|before| before.wanted == wanted);
        let sessions = before.map_or(0, |before| before.sessions).saturating_add(1);
        known.push(NotKept { path: path.to_owned(), wanted: wanted.to_owned(), sessions, at: now, fault });
        if known.len() > MOST_NOT_KEPT {
            known.remove(0);
        }
        (sessions >= STUBBORN).then(|| now.plus_s(self.context.policy.credentials_rewrite_s))
    }

    /// Management settings, or NTP, were refused. Optional leaves are left out from now on; what is needed is tried again
    /// at the next Inform, a few times, and then only as often as anything else that the device does not keep. Where the
    /// device does not say which leaf it was, nobody is blamed before each optional leaf was written alone.
    pub(crate) fn management_refused(
        &mut self,
        items: &[WrittenItem],
        fault: &DeviceFault,
        time: bool,
    ) -> Move {
        // A device names the leaf and what is wrong with it, or only says that something is.
        let told = |item: &WrittenItem| {
            let entry = fault.parameters.iter().find(|entry| entry.path == item.path);
            entry.map_or_else(
                || sentences::fault_in_words(fault.code, &fault.text),
                |entry| sentences::fault_in_words(entry.code, &entry.text),
            )
        };
        let reason = sentences::device_fault("SetParameterValues", fault.code, &fault.text);
        let path = items.first().map(|item| item.path.clone());
        let class = CwmpFault::of(fault.code).class;
        self.fault(class, Some(fault.code), &fault.text, path, Some("SetParameterValues"), &reason);
        let blamed = |item: &&WrittenItem| fault.parameters.iter().any(|entry| entry.path == item.path);
        let named: Vec<&WrittenItem> = items.iter().filter(blamed).collect();
        let nobody_named = named.is_empty() && items.len() > 1;
        for item in items.iter().filter(|item| !item.required) {
            if items.len() == 1 || named.contains(&item) {
                self.learn(&item.path, "rejected");
            } else if nobody_named {
                // Known of this device only, and not known to be bad.
                self.device.learned.insert(pattern_of(&item.path), ALONE.to_owned());
            }
        }
        if nobody_named && items.iter().any(|item| !item.required) {
            // The next session writes what is needed without them, and then knows whether it was that.
            self.note(reason);
            return Move::Finish;
        }
        let culprits: Vec<&WrittenItem> = if named.is_empty() { items.iter().collect() } else { named };
        let needed: Vec<&WrittenItem> = culprits.into_iter().filter(|item| item.required).collect();
        self.note(reason);
        let Some(first) = needed.first() else { return Move::Finish };
        if time {
            self.device.clock.ntp_pushes = self.ntp_pushes() + 1;
            self.device.clock.ntp_servers = self.context.policy.ntp_servers.clone();
            self.device.clock.ntp_refused = Some(told(first));
            let reason = self.clock_reason();
            self.say(reason);
            return Move::Finish;
        }
        for item in needed {
            let told = told(item);
            let again = self.count_not_kept(&item.path, &item.masked, Some(told.clone()));
            let reason = sentences::ownership_refused(&item.path, &item.masked, &told, again);
            if self.device.state == State::Informed { self.say(reason) } else { self.note(reason) }
        }
        Move::Finish
    }

    /// Evidence of management settings: what could be read was read back as wanted, the rest was accepted.
    fn record_core(&mut self, wanted: &[Item], kept: Option<&Kept>) {
        for item in wanted {
            let accepted = kept.filter(|kept| kept.path == item.path);
            let accepted = accepted.and_then(|kept| Some((kept.kept_s, kept.accepted_by.as_ref()?)));
            let (observed, proof) = match &item.secret {
                Some(_) => ("not readable".to_owned(), Proof::Accepted),
                None => {
                    (self.session().tree.value(&item.path).unwrap_or_default().to_owned(), Proof::ReadBack)
                }
            };
            self.effect(Effect::RecordEvidence(Evidence {
                layer: Layer::Core,
                setting: item.label.clone(),
                path: item.path.clone(),
                wanted: match accepted {
                    Some((kept_s, by)) => format!("{}; {kept_s} accepted by {by}", item.value.masked()),
                    None => item.value.masked(),
                },
                observed,
                verified: true,
                proof,
            }));
        }
    }

    fn ownership_confirmed(&mut self, wanted: &[Item], interval: u32, kept: Option<Kept>) {
        self.record_core(wanted, kept.as_ref());
        let now = self.now;
        let ownership = &mut self.device.ownership;
        ownership.confirmed_at = Some(now);
        if ownership.repair_due {
            ownership.repair_due = false;
            (ownership.repaired_at, ownership.repaired) = (Some(now), true);
            self.device.connection.unauthorized_since = None;
        }
        ownership.not_kept.clear();
        let known = kept.as_ref().map(|kept| KeptInterval { written_s: interval, kept_s: kept.kept_s });
        let news = std::mem::replace(&mut ownership.kept_interval, known) != known;
        self.device.inform_interval_s = Some(kept.as_ref().map_or(interval, |kept| kept.kept_s));
        let Some(Kept { kept_s, accepted_by, .. }) = kept.filter(|_| news) else { return };
        self.note(match accepted_by {
            Some(by) => {
                let model = self.device.identity.product_class.clone();
                sentences::interval_accepted(interval, kept_s, &by, &model)
            }
            None => sentences::interval_rounded(interval, kept_s),
        });
    }

    // ---- repair --------------------------------------------------------------------------------

    /// ACTIVE, and the device refuses to be called (401): the connection-request credentials, and nothing else, are written
    /// again in a session that it opened itself, once a day at most. Whatever becomes of it, the service stays as it is.
    pub(crate) fn repair_while_active(&mut self) -> Move {
        let due = self.device.ownership.repair_due && self.device.connection.unauthorized_since.is_some();
        if !due || self.device.hold.is_some() || self.device.quarantined() || !self.trusted() {
            return Move::Finish;
        }
        let (Some(credentials), Some(profile)) =
            (self.context.credentials.clone(), self.profile_or_nominee())
        else {
            return Move::Finish;
        };
        if profile.only_read().is_some() {
            return Move::Finish;
        }
        if let Some(next) = self.observe(&profile, &profile.management.list) {
            return next;
        }
        let interval = self.context.policy.inform_interval_s;
        let plan = match self.planning(&profile, |p| p.connection_request(&credentials, interval)) {
            Ok(plan) => plan,
            Err(blocked) => {
                self.repair_is_tried();
                self.note(blocked.reason);
                return Move::Finish;
            }
        };
        let now = self.now;
        let items = plan.steps.into_iter().find_map(|step| match step {
            PlanStep::Write { items, .. } => Some(items),
            PlanStep::Add { .. } => None,
        });
        let Some(items) = items else {
            self.record_core(&plan.wanted, None);
            let ownership = &mut self.device.ownership;
            (ownership.repair_due, ownership.repaired_at, ownership.repaired) = (false, Some(now), true);
            self.device.connection.unauthorized_since = None;
            self.note(sentences::credentials_repaired());
            return Move::Finish;
        };
        // The chance of this day is used up when it is taken.
        self.repair_is_tried();
        if let Some(item) = items.iter().find(|item| self.tried(&item.path) >= TRIES).cloned() {
            let observed = self.session().tree.value(&item.path).unwrap_or("nothing").to_owned();
            let (wanted, again) = (item.value.masked(), self.repair_rests_until());
            let reason = sentences::ownership_not_kept(&item.path, &wanted, &observed, again, None);
            self.fault(FaultClass::Device, None, &reason.text, Some(item.path), None, &reason);
            self.note(reason);
            return Move::Finish;
        }
        let written = items.iter().map(Item::written).collect();
        self.write(Purpose::WriteOwnership { items: written }, &items)
    }

    /// What becomes of it is not known yet.
    fn repair_is_tried(&mut self) {
        let now = self.now;
        let ownership = &mut self.device.ownership;
        (ownership.repaired_at, ownership.repaired) = (Some(now), false);
    }

    /// The device refuses them: tomorrow is another day.
    pub(crate) fn repair_refused(&mut self, items: &[WrittenItem], fault: &DeviceFault) -> Move {
        self.device.ownership.repair_due = false;
        // What was wished meanwhile does not wait for another session.
        let next = if self.layers_due().is_empty() { Move::Finish } else { Move::Again };
        let first = items.iter().find(|item| fault.parameters.iter().any(|entry| entry.path == item.path));
        let Some(item) = first.or(items.first()) else { return next };
        let told = sentences::fault_in_words(fault.code, &fault.text);
        let again = self.repair_rests_until();
        let reason = sentences::ownership_refused(&item.path, &item.masked, &told, again);
        let (class, path) = (CwmpFault::of(fault.code).class, Some(item.path.clone()));
        self.fault(class, Some(fault.code), &fault.text, path, Some("SetParameterValues"), &reason);
        self.note(reason);
        next
    }

    fn tried(&mut self, path: &str) -> u32 {
        self.session().tries.get(path).copied().unwrap_or(0)
    }

    pub(crate) fn write(&mut self, purpose: Purpose, items: &[Item]) -> Move {
        let session = self.session();
        for item in items {
            *session.tries.entry(item.path.clone()).or_default() += 1;
        }
        let values = items.iter().map(Item::set_value).collect();
        self.request(purpose, DeviceRequest::SetValues { values, key: String::new() })
    }

    // ---- clock ---------------------------------------------------------------------------------

    /// How often the device was given the servers that its network has now. Others say nothing of these.
    fn ntp_pushes(&self) -> u32 {
        let clock = &self.device.clock;
        if clock.ntp_servers == self.context.policy.ntp_servers { clock.ntp_pushes } else { 0 }
    }

    pub(crate) fn clock_reason(&self) -> crate::Reason {
        let clock = &self.device.clock;
        let policy = &self.context.policy;
        let pushes = self.ntp_pushes();
        if let Some(fault) = clock.ntp_refused.as_deref().filter(|_| pushes > 0) {
            return sentences::clock_ntp_refused(clock.year, fault, pushes, pushes < policy.ntp_pushes);
        }
        if pushes >= policy.ntp_pushes && policy.ntp_pushes > 0 {
            let address = self.device.connection.peer.clone().unwrap_or_default();
            let server = policy.ntp_servers.first().cloned().unwrap_or_default();
            return sentences::clock_unreachable(clock.year, pushes, &address, &server);
        }
        sentences::clock_invalid(&clock.reported, clock.year, pushes)
    }

    /// OWNED: until the clock is right, nothing is written but NTP and the time zone.
    pub(crate) fn synchronise(&mut self) -> Move {
        if self.device.quarantined() {
            return Move::Finish;
        }
        if self.clock_passes() {
            return self.clock_is_right();
        }
        if !self.trusted() {
            let reason = self.untrusted_reason();
            self.say(reason);
            return Move::Finish;
        }
        let profile = match self.choose_profile() {
            Ok(profile) => profile,
            Err(next) => return next,
        };
        let mut objects = profile.time.list.clone();
        if profile.time.needs_wan {
            objects.extend(profile.wan.list.clone());
        }
        if let Some(next) = self.observe(&profile, &objects) {
            return next;
        }
        let current = &profile.time.current;
        let path = profile
            .time
            .slots
            .get(&current.slot)
            .and_then(|slot| slot.object.as_ref())
            .map(|object| format!("{object}{}", current.leaf));
        let shown =
            path.and_then(|path| self.session().tree.value(&path).map(str::to_owned)).unwrap_or_default();
        if read_clock(&shown).is_valid(self.context.policy.clock_floor_year) {
            self.device.clock.reported = shown.clone();
            self.device.clock.year = read_clock(&shown).year();
            self.device.clock.valid = true;
            return self.clock_is_right();
        }
        let policy = &self.context.policy;
        if self.session().time_written
            || self.ntp_pushes() >= policy.ntp_pushes
            || policy.ntp_servers.is_empty()
        {
            let reason = self.clock_reason();
            self.say(reason);
            return Move::Finish;
        }
        let plan = match self.planning(&profile, |planner| planner.time()) {
            Ok(plan) => plan,
            Err(blocked) => {
                self.say(blocked.reason);
                return Move::Finish;
            }
        };
        // Everything is written once per push, equal or not: some devices only then ask their server.
        let next = plan.steps.iter().find_map(|step| match step {
            PlanStep::Write { items, .. }
                if items.iter().any(|item| {
                    self.device.session.as_ref().is_some_and(|s| !s.tries.contains_key(&item.path))
                }) =>
            {
                Some(items.clone())
            }
            PlanStep::Write { .. } | PlanStep::Add { .. } => None,
        });
        match next {
            Some(items) => {
                let written = items.iter().map(Item::written).collect();
                self.write(Purpose::WriteTime { items: written }, &items)
            }
            None => self.ntp_pushed(&plan),
        }
    }

    fn clock_is_right(&mut self) -> Move {
        self.device.clock.ntp_pushes = 0;
        self.device.clock.ntp_refused = None;
        self.effect(Effect::StopTimer { timer: Timer::ClockCheck });
        let clock = &self.device.clock;
        let reason = match (&clock.overridden_by, &self.context.policy.clock_waived_by) {
            (Some(by), _) if !clock.valid => sentences::clock_overridden(by),
            (None, Some(by)) if !clock.valid => {
                sentences::clock_waived(by, &self.device.identity.product_class)
            }
            (Some(_) | None, Some(_) | None) => sentences::clock_valid(&clock.reported),
        };
        self.goto(State::TimeSynced, reason);
        Move::Again
    }

    fn ntp_pushed(&mut self, plan: &LayerPlan) -> Move {
        for item in &plan.wanted {
            let observed = self.session().tree.value(&item.path).unwrap_or_default().to_owned();
            let verified = crate::plan::same(item.kind, &observed, item.value.expose());
            self.effect(Effect::RecordEvidence(Evidence {
                layer: Layer::Core,
                setting: item.label.clone(),
                path: item.path.clone(),
                wanted: item.value.masked(),
                observed,
                verified,
                proof: if verified { Proof::ReadBack } else { Proof::Missing },
            }));
        }
        self.session().time_written = true;
        self.device.clock.ntp_pushes = self.ntp_pushes() + 1;
        self.device.clock.ntp_servers = self.context.policy.ntp_servers.clone();
        self.device.clock.ntp_refused = None;
        let at = self.now.plus_s(self.context.policy.clock_check_s);
        self.effect(Effect::StartTimer { timer: Timer::ClockCheck, at });
        let clock = &self.device.clock;
        let reason = sentences::clock_invalid(&clock.reported, clock.year, clock.ntp_pushes);
        self.say(reason);
        Move::Finish
    }
}
