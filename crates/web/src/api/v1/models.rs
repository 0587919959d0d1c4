//! CPE models and their firmwares: what is known and how surely, and the family that is set by hand.

use axum::{Json, extract::State, response::Response};
use serde::{Deserialize, Serialize};
use store::read::{ModelFilter, ModelRow, Page};
use types::CpeFirmwareId;
use utoipa::ToSchema;

use super::{
    idempotency::Order,
    input::{Asked, Filter, Id, Nothing, list_query},
    output::{Answer, List, Reply, Time, time},
};
use crate::{
    error::{ApiFail, Fail},
    models::{self, Firmware, Model, Profile},
    state::Ctx,
};

list_query! {
    /// Which models.
    ModelQuery {
        /// Part of maker, model, product class or OUI.
        q: String,
        /// Only models with devices of this family, e.g. `huawei_x_hw`.
        family: String,
        /// Only those with a family set by hand, or only those without.
        overridden: bool,
        /// Only those whose devices refused one.
        refused: bool,
    } /// One of model, maker, family, firmwares, devices, seen, proved.
    sort ["model", "maker", "family", "firmwares", "devices", "seen", "proved"]
}

/// Everything that calls itself by one OUI and product class.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CpeModel {
    /// Id of its first firmware; stands for the model.
    id: i64,
    oui: String,
    product_class: String,
    manufacturer: String,
    model: String,
    /// `tr098` or `tr181`; empty if unknown.
    data_model: String,
    firmwares: i64,
    devices: i64,
    /// Of them those whose family is proved by what they have.
    proved: i64,
    /// Families in use, by id; the first and the last by name where there are more.
    families: Vec<String>,
    /// Firmwares with a family set by hand.
    overrides: i64,
    /// Devices that refused one.
    refused: i64,
    first_seen_at: Time,
    /// A device of it was last proved to be of its family.
    proved_at: Option<Time>,
}

/// How many devices of a firmware are of a family.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FamilyInUse {
    /// Null: none fits yet.
    family: Option<String>,
    /// `probed`, `nominated`, `learned` or `override`; empty without a family.
    known: String,
    devices: i64,
    /// The last of them since.
    last_at: Option<Time>,
}

/// A family that an operator set.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FamilySet {
    family: String,
    reason: String,
    by: String,
    since_at: Option<Time>,
}

/// What devices said to it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FamilyRefusal {
    /// A clause about the device ("it has none of …").
    why: String,
    devices: i64,
}

/// Something that devices taught by being tried.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Lesson {
    /// Path with `?` for instance numbers; empty: the device as a whole; `family`: its family.
    path: String,
    /// `missing`, `read_only`, `bad_type`, `bad_value`, `not_kept`, `batch_limit=3`, or the id of the family.
    fact: String,
    /// How many units say so.
    units: i64,
    /// It counts for all others of this firmware.
    counts: bool,
    first_at: Time,
    last_at: Time,
    /// One of the units.
    cpe_id: i64,
}

/// A firmware of a model.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CpeFirmware {
    id: i64,
    software_version: String,
    first_seen_at: Time,
    devices: i64,
    /// The family that its identity speaks for.
    nominated: Option<String>,
    /// By what: `manufacturer`, `OUI`, `product class`, `firmware`.
    nominated_by: Vec<String>,
    families: Vec<FamilyInUse>,
    family_override: Option<FamilySet>,
    refusals: Vec<FamilyRefusal>,
    learned: Vec<Lesson>,
}

/// What a family can do.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FamilyFeature {
    title: String,
    /// `proved`, `documented` or `unproved`.
    mark: String,
    /// What that rests on.
    source: String,
    /// Leaves it works with.
    paths: usize,
    /// Those of them that no export of a real unit shows.
    unproved_paths: Vec<String>,
}

/// A family that concerns a model.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CpeFamily {
    id: String,
    title: String,
    /// How well the family as a whole is known.
    confidence: String,
    source: String,
    /// Why it is only read; null if it may be written.
    read_only: Option<String>,
    /// Traps.
    notes: Vec<String>,
    features: Vec<FamilyFeature>,
}

/// A model with its firmwares and the families that concern it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CpeModelWithFirmwares {
    oui: String,
    product_class: String,
    manufacturer: String,
    model: String,
    data_model: String,
    /// The newest first, 500 at most.
    firmwares: Vec<CpeFirmware>,
    families: Vec<CpeFamily>,
    /// Families that may be set for it.
    choices: Vec<String>,
}

/// The family to set.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewFamily {
    /// Id of the family, one of the model's `choices`.
    family: String,
    /// Why, for colleagues.
    #[schema(max_length = 200)]
    reason: String,
}

fn model(row: ModelRow) -> CpeModel {
    let mut families: Vec<String> = row.family_first.into_iter().chain(row.family_last).collect();
    families.dedup();
    CpeModel {
        id: row.id,
        oui: row.oui,
        product_class: row.product_class,
        manufacturer: row.manufacturer,
        model: row.model,
        data_model: row.data_model,
        firmwares: row.firmwares,
        devices: row.devices,
        proved: row.proved,
        families,
        overrides: row.overrides,
        refused: row.refused,
        first_seen_at: row.first_seen_at.into(),
        proved_at: time(row.proved_at),
    }
}

fn firmware(firmware: Firmware) -> CpeFirmware {
    let Firmware { row, nominated, families, ordered, refusals, lessons } = firmware;
    CpeFirmware {
        id: row.id,
        software_version: row.software_version,
        first_seen_at: row.first_seen_at.into(),
        devices: row.devices,
        nominated: nominated.as_ref().map(|nominated| nominated.family.id.clone()),
        nominated_by: nominated.iter().flat_map(|n| n.by.iter().map(|by| (*by).to_owned())).collect(),
        families: families
            .into_iter()
            .map(|(family, count)| FamilyInUse {
                family: family.map(|family| family.id),
                known: count.profile_known,
                devices: count.devices,
                last_at: time(count.last_at),
            })
            .collect(),
        family_override: ordered.map(|family| FamilySet {
            family: family.id,
            reason: row.family_reason,
            by: row.family_by,
            since_at: time(row.family_since),
        }),
        refusals: refusals
            .into_iter()
            .map(|refusal| FamilyRefusal { why: refusal.family_refused, devices: refusal.devices })
            .collect(),
        learned: lessons
            .into_iter()
            .map(|lesson| Lesson {
                path: lesson.path,
                fact: lesson.fact,
                units: lesson.units,
                counts: models::counts_for_all(lesson.units),
                first_at: lesson.first_at.into(),
                last_at: lesson.last_at.into(),
                cpe_id: lesson.cpe_id,
            })
            .collect(),
    }
}

fn family(known: Profile) -> CpeFamily {
    let Profile { profile, features } = known;
    CpeFamily {
        id: profile.id.clone(),
        title: profile.title.clone(),
        confidence: profile.confidence.words().to_owned(),
        source: profile.source.clone(),
        read_only: profile.read_only.clone(),
        notes: profile.notes.clone(),
        features: features
            .into_iter()
            .map(|feature| FamilyFeature {
                title: feature.title,
                mark: feature.mark.as_str().to_owned(),
                source: feature.source,
                paths: feature.paths,
                unproved_paths: feature.unproved.into_iter().map(|(path, _)| path).collect(),
            })
            .collect(),
    }
}

async fn whole(ctx: &Ctx, id: i64) -> Result<CpeModelWithFirmwares, Fail> {
    let Model { first, firmwares, profiles, choices } = Model::read(ctx, id, Page::first(500)).await?;
    Ok(CpeModelWithFirmwares {
        oui: first.oui,
        product_class: first.product_class,
        manufacturer: first.manufacturer,
        model: first.model,
        data_model: first.data_model,
        firmwares: firmwares.rows.into_iter().map(firmware).collect(),
        families: profiles.into_iter().map(family).collect(),
        choices: choices.into_iter().map(|choice| choice.id).collect(),
    })
}

/// CPE models, those with refused overrides first, then those with most devices.
#[utoipa::path(get, path = "/api/v1/cpe-models", tag = "cpes", params(ModelQuery),
    responses((status = 200, description = "A page of models.", body = List<CpeModel>)))]
pub(super) async fn list_cpe_models(
    State(ctx): State<Ctx>,
    Filter(asked): Filter<ModelQuery>,
) -> Answer<List<CpeModel>> {
    let (page, sort) = (asked.page(), asked.sort());
    let filter = ModelFilter {
        q: asked.q.unwrap_or_default(),
        family: asked.family,
        overridden: asked.overridden,
        refused: asked.refused.unwrap_or(false),
    };
    Ok(List::of(ctx.read().models(&filter, &sort, page).await?, page, model))
}

/// A model by the id of any of its firmwares: who runs what, which family that is and how surely, what was learned.
#[utoipa::path(get, path = "/api/v1/cpe-models/{id}", tag = "cpes",
    params(("id" = i64, Path, description = "The model, or one of its firmwares.")),
    responses((status = 200, description = "The model.", body = CpeModelWithFirmwares)))]
pub(super) async fn get_cpe_model(State(ctx): State<Ctx>, Id(id): Id) -> Answer<CpeModelWithFirmwares> {
    Ok(Json(whole(&ctx, id).await?))
}

/// Sets the family of every CPE with this firmware, from the next time each is looked at. A device that does not bear it
/// out refuses it and goes on as probed. Kept in the audit log.
#[utoipa::path(post, path = "/api/v1/cpe-firmwares/{id}/override-family", tag = "cpes",
    params(("id" = i64, Path, description = "The firmware.")), request_body = NewFamily,
    responses((status = 200, description = "Set.", body = CpeModelWithFirmwares)))]
pub(super) async fn override_family(Id(id): Id, order: Order<NewFamily>) -> Result<Response, ApiFail> {
    order
        .once(move |ctx, actor, new| async move {
            ctx.app().override_family(&actor, CpeFirmwareId(id), &new.family, &new.reason).await?;
            Reply::ok(&whole(&ctx, id).await?)
        })
        .await
}

/// Takes it back: what each device has decides again.
#[utoipa::path(post, path = "/api/v1/cpe-firmwares/{id}/withdraw-family", tag = "cpes",
    params(("id" = i64, Path, description = "The firmware.")),
    responses((status = 200, description = "Taken back.", body = CpeModelWithFirmwares)))]
pub(super) async fn withdraw_family(Id(id): Id, order: Order<Nothing>) -> Result<Response, ApiFail> {
    order
        .once(move |ctx, actor, _| async move {
            ctx.app().withdraw_family(&actor, CpeFirmwareId(id)).await?;
            Reply::ok(&whole(&ctx, id).await?)
        })
        .await
}
