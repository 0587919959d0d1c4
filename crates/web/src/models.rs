//! What is known of a CPE's family, its model and its firmware, for pages and the API alike.

use app::FamilyOverride;
use profiles::cpe::{CpeProfile, Feature, Identity, Known};
use provisioning::{Device, LearnedFact};
use std::{collections::BTreeSet, sync::Arc};
use store::read::{CpeRow, FamilyCount, FirmwareRow, LessonRow, Listed, Page, RefusalRow};

use crate::{error::Fail, state::Ctx, view::View};

/// A family by id and title.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) id: String,
    pub(crate) title: String,
}

fn named(ctx: &Ctx, id: &str) -> Named {
    let title = ctx.app().profiles().get(id).map_or_else(|| id.to_owned(), |profile| profile.title.clone());
    Named { id: id.to_owned(), title }
}

/// The family that an identity speaks for, and by what it does.
#[derive(Debug, Clone)]
pub(crate) struct Nominated {
    pub(crate) family: Named,
    pub(crate) by: Vec<&'static str>,
}

impl Nominated {
    /// `manufacturer and product class`.
    pub(crate) fn by_words(&self) -> String {
        match self.by.split_last() {
            None => "what it says of itself".to_owned(),
            Some((last, [])) => (*last).to_owned(),
            Some((last, first)) => format!("{} and {last}", first.join(", ")),
        }
    }
}

fn nominated(ctx: &Ctx, identity: &Identity) -> Option<Nominated> {
    let found = ctx.app().profiles().nomination(identity)?;
    let family = Named { id: found.profile.id.clone(), title: found.profile.title.clone() };
    Some(Nominated { family, by: found.by })
}

fn root_of(data_model: &str) -> String {
    match data_model {
        "tr098" => "InternetGatewayDevice".to_owned(),
        "tr181" => "Device".to_owned(),
        _ => String::new(),
    }
}

/// The family of one CPE, and why it is that one.
pub(crate) struct Family {
    /// In use; none: not decided yet, or none fits.
    pub(crate) family: Option<Named>,
    pub(crate) known: Option<Known>,
    /// In use since.
    pub(crate) at: Option<i64>,
    /// Nodes of the family that the device has.
    pub(crate) evidence: Vec<String>,
    pub(crate) nominated: Option<Nominated>,
    /// Set by an operator for its firmware.
    pub(crate) ordered: Option<FamilyOverride>,
    /// The family that was set and that the device does not bear out, with the reason.
    pub(crate) refused: Option<(Named, String)>,
    /// Its firmware, if that has a page.
    pub(crate) firmware: Option<i64>,
}

impl Family {
    pub(crate) fn of(ctx: &Ctx, row: &CpeRow) -> Family {
        let device: Option<Device> = serde_json::from_str(&row.machine).ok();
        let chosen = device.as_ref().and_then(|device| device.profile.as_ref());
        let refused = device.as_ref().and_then(|device| device.refused_family.as_ref());
        let identity = Identity {
            manufacturer: row.manufacturer.clone(),
            oui: row.oui.clone(),
            product_class: row.product_class.clone(),
            software_version: row.software_version.clone(),
            root: root_of(&row.data_model),
        };
        Family {
            family: chosen.map(|chosen| named(ctx, &chosen.id)),
            known: chosen.map(|chosen| chosen.known),
            at: chosen.map(|chosen| chosen.at.0).filter(|at| *at > 0),
            evidence: chosen.map(|chosen| chosen.evidence.clone()).unwrap_or_default(),
            nominated: nominated(ctx, &identity),
            ordered: ctx.app().family_override(&row.oui, &row.product_class, &row.software_version),
            refused: refused.map(|refused| (named(ctx, &refused.family), refused.why.clone())),
            firmware: row.firmware_id,
        }
    }

    /// Why it is this family, as a clause after its name.
    pub(crate) fn why(&self, v: &View) -> String {
        let on = self.at.map(|at| format!(" on {}", v.date(at))).unwrap_or_default();
        let named = match (&self.nominated, &self.family) {
            (Some(nominated), Some(family)) if nominated.family.id == family.id => {
                format!("nominated by {}", nominated.by_words())
            }
            (Some(nominated), _) => {
                format!("{} was nominated by {}", nominated.family.title, nominated.by_words())
            }
            (None, _) => "nothing that it says of itself names a family".to_owned(),
        };
        let same = named.starts_with("nominated");
        match self.known {
            None => format!("{named}; not looked at yet"),
            Some(Known::Probed) if same => format!("{named}, proved by probing{on}"),
            Some(Known::Probed) => format!("{named}; decided by probing{on}"),
            Some(Known::Nominated) => {
                format!("{named}; nothing on it proves that yet, so it is looked at again in every session")
            }
            Some(Known::Learned) => format!(
                "{named}; other units of this firmware are of it, and it is looked at again in every session until it \
                 shows so itself"
            ),
            Some(Known::Override) => {
                let by = self.ordered.as_ref().map(|set| format!(" by {}", set.by)).unwrap_or_default();
                let borne = if self.evidence.is_empty() {
                    "nothing on it speaks for that or against it yet"
                } else {
                    "it has what that family is known by"
                };
                format!("{named}; set{by}{on}, and {borne}")
            }
        }
    }
}

/// A firmware of a model.
pub(crate) struct Firmware {
    pub(crate) row: FirmwareRow,
    pub(crate) nominated: Option<Nominated>,
    /// Families in use, most devices first.
    pub(crate) families: Vec<(Option<Named>, FamilyCount)>,
    /// The family that an operator set.
    pub(crate) ordered: Option<Named>,
    pub(crate) refusals: Vec<RefusalRow>,
    pub(crate) lessons: Vec<LessonRow>,
}

impl Firmware {
    /// Devices of it that are proved to be of a family by what they have.
    pub(crate) fn proved(&self) -> i64 {
        let proved = |count: &&(Option<Named>, FamilyCount)| count.1.profile_known == Known::Probed.as_str();
        self.families.iter().filter(proved).map(|count| count.1.devices).sum()
    }
}

/// A family as far as it concerns a model, with everything that is known of it.
pub(crate) struct Profile {
    pub(crate) profile: Arc<CpeProfile>,
    pub(crate) features: Vec<Feature>,
}

/// A model with its firmwares.
pub(crate) struct Model {
    /// Of the firmware that was asked for; what it says of the model holds for all.
    pub(crate) first: FirmwareRow,
    pub(crate) firmwares: Listed<Firmware>,
    /// Families in use, nominated or set.
    pub(crate) profiles: Vec<Profile>,
    /// Families that may be set: those of its data model.
    pub(crate) choices: Vec<Named>,
}

impl Model {
    pub(crate) async fn read(ctx: &Ctx, firmware: i64, page: Page) -> Result<Model, Fail> {
        let read = ctx.read();
        let first = read.firmware(firmware).await?.ok_or_else(|| Fail::not_found("This CPE model"))?;
        let (oui, class) = (first.oui.as_str(), first.product_class.as_str());
        let counts = read.family_counts(oui, class).await?;
        let refusals = read.refusals(oui, class).await?;
        let lessons = read.lessons(oui, class).await?;
        let found = read.firmwares(oui, class, page).await?;
        let firmwares = found.rows.into_iter().map(|row| {
            let of = |version: &str| version == row.software_version;
            let identity = Identity {
                manufacturer: row.manufacturer.clone(),
                oui: row.oui.clone(),
                product_class: row.product_class.clone(),
                software_version: row.software_version.clone(),
                root: root_of(&row.data_model),
            };
            let families = counts.iter().filter(|count| of(&count.software_version));
            Firmware {
                nominated: nominated(ctx, &identity),
                families: families
                    .map(|count| (count.profile_id.as_deref().map(|id| named(ctx, id)), count.clone()))
                    .collect(),
                ordered: row.family.as_deref().map(|id| named(ctx, id)),
                refusals: refusals.iter().filter(|refusal| of(&refusal.software_version)).cloned().collect(),
                lessons: lessons.iter().filter(|lesson| of(&lesson.software_version)).cloned().collect(),
                row,
            }
        });
        let firmwares: Vec<Firmware> = firmwares.collect();
        let mut concerned: BTreeSet<&str> =
            counts.iter().filter_map(|count| count.profile_id.as_deref()).collect();
        for firmware in &firmwares {
            concerned.extend(firmware.ordered.iter().map(|family| family.id.as_str()));
            concerned.extend(firmware.nominated.iter().map(|nominated| nominated.family.id.as_str()));
        }
        let all = ctx.app().profiles();
        let profiles = concerned
            .into_iter()
            .filter_map(|id| all.get(id))
            .map(|profile| Profile { features: profile.features(), profile: Arc::clone(profile) });
        let profiles = profiles.collect();
        let root = root_of(&first.data_model);
        let fits = |profile: &&Arc<CpeProfile>| root.is_empty() || profile.root.trim_end_matches('.') == root;
        let mut choices: Vec<Named> =
            all.all().iter().filter(fits).map(|profile| named(ctx, &profile.id)).collect();
        choices.sort_by(|a, b| a.title.cmp(&b.title));
        Ok(Model { first, firmwares: Listed { rows: firmwares, total: found.total }, profiles, choices })
    }
}

/// What a lesson is about, for people.
pub(crate) fn lesson_subject(path: &str) -> String {
    match path {
        "" => "The device as a whole".to_owned(),
        LearnedFact::FAMILY => "Its family".to_owned(),
        path => path.to_owned(),
    }
}

/// What a device taught, for people.
pub(crate) fn lesson_words(ctx: &Ctx, path: &str, fact: &str) -> String {
    if path == LearnedFact::FAMILY {
        return format!("{}, by probing", named(ctx, fact).title);
    }
    match (fact, fact.split_once('=')) {
        ("missing", _) => "refused: the device does not know it (9005)".to_owned(),
        ("read_only", _) => "refused: it cannot be written (9008)".to_owned(),
        ("bad_type", _) => "refused: it takes another type (9006)".to_owned(),
        ("bad_value", _) => "refused: it takes other values (9007)".to_owned(),
        ("rejected", _) => "refused when written".to_owned(),
        ("not_kept", _) => "accepted when written and not kept".to_owned(),
        (_, Some(("batch_limit", most))) => format!("takes at most {most} parameters in one call"),
        (other, _) => other.replace('_', " "),
    }
}

/// So many units must agree before a lesson counts for others of their firmware.
pub(crate) const UNITS_THAT_TEACH: usize = store::cpes::UNITS_THAT_TEACH;

/// A lesson counts for the others of its firmware.
pub(crate) fn counts_for_all(units: i64) -> bool {
    usize::try_from(units).unwrap_or(0) >= UNITS_THAT_TEACH
}
