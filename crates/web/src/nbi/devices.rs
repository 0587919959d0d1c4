//! The devices.

use std::{collections::HashMap, sync::Arc};

use app::{Actor, AppError};
use axum::{
    Extension, Json,
    extract::{Path, RawQuery, State},
    http::Method,
    response::{IntoResponse, Response},
};
use serde_json::Value;
use store::read::{BootRow, Branches, DeviceFilter, DeviceParameterRow, DeviceRow, Read};

use types::{CpeId, names_a_secret};

use super::{
    Nbi, Refusal,
    collection::{Asked, Collection, answer},
    document, ids,
    query::{Field, Fields, Found, Part, Subject},
};

/// Devices that a query looks at in one go.
const SCANNED: u32 = 1000;

const FIELDS: Fields = Fields {
    own: &[
        "_id",
        "_tags",
        "_lastInform",
        "_registered",
        "_lastBoot",
        "_lastBootstrap",
        "_timestamp",
        "_deviceId._Manufacturer",
        "_deviceId._OUI",
        "_deviceId._ProductClass",
        "_deviceId._SerialNumber",
    ],
    parameters: true,
};

/// What is read of each device for a query.
struct Looks {
    tags: bool,
    boots: bool,
    parameters: Vec<String>,
}

struct Devices {
    app: Arc<app::App>,
    filter: DeviceFilter,
    looks: Looks,
    wanted: Wanted,
}

/// What is read of each device for its document.
struct Wanted {
    tags: bool,
    boots: bool,
    parameters: Option<Branches>,
}

impl Wanted {
    fn of(asked: &Asked) -> Self {
        let parameters = match &asked.projection {
            None => Some(Branches::All),
            Some(paths) => {
                let branches: Vec<String> = paths.iter().filter_map(|path| branch(path)).collect();
                (!branches.is_empty()).then_some(Branches::Below(branches))
            }
        };
        Wanted {
            tags: asked.wants("_tags"),
            boots: asked.wants("_lastBoot") || asked.wants("_lastBootstrap"),
            parameters,
        }
    }
}

/// The parameters that a projected field needs.
fn branch(path: &str) -> Option<String> {
    let path = path.split_once("._").map_or(path, |(path, _)| path);
    (!path.starts_with('_')).then(|| path.to_owned())
}

/// One device as a query sees it.
struct Device {
    id: String,
    row: DeviceRow,
    tags: Vec<String>,
    boots: Option<BootRow>,
    parameters: Vec<DeviceParameterRow>,
}

impl Subject for Device {
    fn found(&self, field: &Field) -> Found<'_> {
        let time = |at: Option<i64>| at.map_or(Found::Nothing, Found::Time);
        match field {
            Field::Own(name) => match *name {
                "_id" => Found::Text(&self.id),
                "_tags" => Found::Texts(&self.tags),
                "_lastInform" | "_timestamp" => time(self.row.last_inform_at),
                "_registered" => Found::Time(self.row.created_at),
                "_lastBoot" => time(self.boots.as_ref().and_then(|boots| boots.boot_at)),
                "_lastBootstrap" => time(self.boots.as_ref().and_then(|boots| boots.bootstrap_at)),
                "_deviceId._Manufacturer" => Found::Text(&self.row.manufacturer),
                "_deviceId._OUI" => Found::Text(&self.row.oui),
                "_deviceId._ProductClass" => Found::Text(&self.row.product_class),
                "_deviceId._SerialNumber" => Found::Text(&self.row.serial_number),
                _ => Found::Nothing,
            },
            Field::Parameter { path, part } => {
                let Some(found) = self.parameters.iter().find(|parameter| parameter.path == *path) else {
                    return Found::Nothing;
                };
                match part {
                    // Nobody guesses a secret by asking who has which.
                    Part::Value if names_a_secret(path) => Found::Nothing,
                    Part::Value => Found::Parameter { text: &found.value, kind: &found.kind },
                    Part::Kind => Found::Text(&found.kind),
                    Part::Writable => found.writable.map_or(Found::Nothing, Found::Flag),
                    Part::Timestamp => Found::Time(found.read_at),
                }
            }
        }
    }
}

/// Several rows per device, found by device.
fn by_device(rows: Vec<DeviceParameterRow>) -> HashMap<i64, Vec<DeviceParameterRow>> {
    let mut all: HashMap<i64, Vec<DeviceParameterRow>> = HashMap::new();
    for row in rows {
        all.entry(row.cpe_id).or_default().push(row);
    }
    all
}

impl Devices {
    fn new(nbi: &Nbi, asked: &Asked) -> Self {
        let (informed_from, informed_until) = asked.matcher.within("_lastInform");
        let identities = asked.matcher.one_of("_id").map(|names| {
            let known = names.into_iter().filter_map(ids::parse);
            known.map(|known| (known.oui, known.product_class, known.serial_number)).collect()
        });
        let tags = asked.matcher.one_of("_tags").map(|tags| tags.into_iter().map(str::to_owned).collect());
        Devices {
            app: Arc::clone(&nbi.app),
            filter: DeviceFilter { identities, informed_from, informed_until, tags },
            looks: Looks {
                tags: asked.looks_at("_tags"),
                boots: asked.looks_at("_lastBoot") || asked.looks_at("_lastBootstrap"),
                parameters: asked.parameters(),
            },
            wanted: Wanted::of(asked),
        }
    }

    fn read(&self) -> Read<'_> {
        self.app.store().read()
    }

    async fn tags(&self, wanted: bool, ids: &[i64]) -> Result<HashMap<i64, Vec<String>>, Refusal> {
        let rows = if wanted { self.read().device_tags(ids).await? } else { Vec::new() };
        let mut all: HashMap<i64, Vec<String>> = HashMap::new();
        for row in rows {
            all.entry(row.cpe_id).or_default().push(row.tag);
        }
        Ok(all)
    }

    async fn boots(&self, wanted: bool, ids: &[i64]) -> Result<HashMap<i64, BootRow>, Refusal> {
        let rows = if wanted { self.read().device_boots(ids).await? } else { Vec::new() };
        Ok(rows.into_iter().map(|row| (row.cpe_id, row)).collect())
    }
}

impl Collection for Devices {
    type Item = Device;

    fn chunk(&self) -> usize {
        match &self.wanted.parameters {
            // A device has thousands of parameters.
            Some(Branches::All) => 2,
            Some(_) => 100,
            None => 500,
        }
    }

    async fn count(&self) -> Result<u64, Refusal> {
        Ok(self.read().device_count(&self.filter).await?)
    }

    async fn ids(&self, after: i64, skip: u64, limit: u32) -> Result<Vec<i64>, Refusal> {
        let rows = self.read().devices_after(&self.filter, after, skip, limit).await?;
        Ok(rows.into_iter().map(|row| row.id).collect())
    }

    async fn items(&self, after: i64) -> Result<Vec<(i64, Device)>, Refusal> {
        let rows = self.read().devices_after(&self.filter, after, 0, SCANNED).await?;
        let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
        let mut parameters = if self.looks.parameters.is_empty() || ids.is_empty() {
            HashMap::new()
        } else {
            let which = Branches::Exactly(self.looks.parameters.clone());
            by_device(self.read().device_parameters(&ids, &which).await?)
        };
        let mut boots = self.boots(self.looks.boots, &ids).await?;
        let mut tags = self.tags(self.looks.tags, &ids).await?;
        let devices = rows.into_iter().map(|row| {
            let device = Device {
                id: document::id_of(&row),
                tags: tags.remove(&row.id).unwrap_or_default(),
                boots: boots.remove(&row.id),
                parameters: parameters.remove(&row.id).unwrap_or_default(),
                row,
            };
            (device.row.id, device)
        });
        Ok(devices.collect())
    }

    async fn documents(&self, ids: Vec<i64>) -> Result<Vec<Value>, Refusal> {
        let rows = self.read().devices_of(&ids).await?;
        let mut rows: HashMap<i64, DeviceRow> = rows.into_iter().map(|row| (row.id, row)).collect();
        let boots = self.boots(self.wanted.boots, &ids).await?;
        let tags = self.tags(self.wanted.tags, &ids).await?;
        let parameters = match &self.wanted.parameters {
            Some(which) => by_device(self.read().device_parameters(&ids, which).await?),
            None => HashMap::new(),
        };
        let made = ids.iter().filter_map(|id| {
            let row = rows.remove(id)?;
            let parameters = parameters.get(id).map_or(&[][..], Vec::as_slice);
            Some(document::device(
                &row,
                tags.get(id).map_or(&[][..], Vec::as_slice),
                boots.get(id),
                parameters,
            ))
        });
        Ok(made.collect())
    }
}

/// The devices that match.
pub(super) async fn list(
    State(nbi): State<Nbi>,
    method: Method,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let asked = Asked::parse(query.as_deref().unwrap_or_default(), FIELDS)?;
    let devices = Devices::new(&nbi, &asked);
    answer(&nbi, devices, asked, &method).await
}

/// One device, whole. GenieACS has no such route; clients were written for it all the same.
pub(super) async fn one(State(nbi): State<Nbi>, Path(id): Path<String>) -> Result<Response, Refusal> {
    let asked = Asked::parse("", FIELDS)?;
    let devices = Devices::new(&nbi, &asked);
    let found = devices.documents(vec![cpe(&nbi, &id).await?]).await?.pop();
    Ok(Json(found.ok_or_else(Refusal::no_such_device)?).into_response())
}

/// The CPE that a path names; the path was decoded once, as GenieACS does.
pub(super) async fn cpe(nbi: &Nbi, id: &str) -> Result<i64, Refusal> {
    let known = ids::parse(id).ok_or_else(Refusal::no_such_device)?;
    let read = nbi.app.store().read();
    let found = read.device_id(&known.oui, &known.product_class, &known.serial_number).await?;
    found.ok_or_else(Refusal::no_such_device)
}

/// Puts a tag on a device; one that is there already is fine.
pub(super) async fn tag(
    State(nbi): State<Nbi>,
    Extension(actor): Extension<Actor>,
    Path((id, tag)): Path<(String, String)>,
) -> Result<(), Refusal> {
    let cpe = CpeId(cpe(&nbi, &id).await?);
    nbi.app.tag_cpe(&actor, cpe, &tag).await.map_err(refused)
}

/// Takes a tag from a device; one that is not there is fine.
pub(super) async fn untag(
    State(nbi): State<Nbi>,
    Extension(actor): Extension<Actor>,
    Path((id, tag)): Path<(String, String)>,
) -> Result<(), Refusal> {
    let cpe = CpeId(cpe(&nbi, &id).await?);
    nbi.app.untag_cpe(&actor, cpe, &tag).await.map_err(refused)
}

/// Clients of GenieACS know 400 and not 422.
pub(super) fn refused(error: AppError) -> Refusal {
    match &error {
        AppError::Invalid { .. } => Refusal::bad(error.to_string()),
        _ => error.into(),
    }
}

/// Devices are forgotten by nobody's order.
pub(super) async fn delete(State(nbi): State<Nbi>, Path(id): Path<String>) -> Result<Response, Refusal> {
    cpe(&nbi, &id).await?;
    Err(Refusal::not_here(
        "Lightkeeper keeps what it knows of a device, so nothing was deleted. To take it from its service, release it on its \
         page or by POST /api/v1/cpes/{id}/release.",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_projection_reads_no_more_than_it_needs() {
        let wanted = |text: &str| {
            Wanted::of(&Asked::parse(text, FIELDS).unwrap_or_else(|_| panic!("{text} is understood")))
        };
        let all = wanted("");
        assert!(all.boots);
        assert_eq!(all.parameters, Some(Branches::All));
        let few = wanted("projection=_id,_lastInform,%20_deviceId");
        assert!(!few.boots);
        assert_eq!(few.parameters, None);
        let some = wanted("projection=_lastBoot,A.B._value,C.D.");
        assert!(some.boots);
        assert_eq!(some.parameters, Some(Branches::Below(vec!["A.B".into(), "C.D".into()])));
    }
}
