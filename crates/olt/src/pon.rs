//! What a PON says of its ONUs: states and light, row by row. What cannot be read costs itself only.

use crate::{
    dialect::ErrorClass,
    driver::{Driver, OltError},
    model::{OnuOptics, OnuRow, OnuSummary, RunState},
    parser::{ParseError, Table},
    plan::{OnuRef, place},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use types::PonPath;

/// State of one registered ONU, from all that a PON's lists say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnuState {
    /// The list row.
    pub row: OnuRow,
    /// Cause, distance and light, where the OLT gives them.
    pub summary: Option<OnuSummary>,
}

/// The ONUs of a PON as far as they could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PonReading {
    /// Those that were read.
    pub onus: Vec<OnuState>,
    /// No ONU is registered there but those in `onus`. If not, one that is missing in `onus` may well be there.
    pub complete: bool,
    /// What could not be read and why, as sentences with the OLT's line.
    pub unread: Vec<String>,
    /// Why it is not believed of an ONU that it is offline: its board is not in service, or that cannot be told. Only
    /// looked at when one is not online that should be.
    pub doubt: Option<String>,
}

impl Driver {
    /// As [`Driver::doubt_of`], where not knowing is a reason to doubt as well.
    async fn doubt_or_unknown(&mut self, pon: PonPath) -> Result<Option<String>, OltError> {
        match self.doubt_of(pon).await {
            Ok(doubt) => Ok(doubt),
            Err(error @ (OltError::Session(_) | OltError::Connect(_))) => Err(error),
            Err(error) => Ok(Some(error.to_string())),
        }
    }

    /// State, cause, distance and light of the ONUs on a PON, as far as they can be read. Those of `expected` were online
    /// before; where one of them is not any more, its board is looked at too.
    ///
    /// # Errors
    /// [`OltError`] when the list of ONUs was not given at all.
    pub async fn onu_states(&mut self, pon: PonPath, expected: &[u16]) -> Result<PonReading, OltError> {
        let parameters = place(OnuRef { pon, onu_id: 0 });
        let mut list = self.table("onus_of_pon", &parameters, |p, t| p.onus_of_pon(t)).await?;
        list.rows.retain(|row| row.pon == pon);
        let sentences = |list: &[ParseError]| list.iter().map(ParseError::to_string).collect::<Vec<_>>();
        let mut reading =
            PonReading { onus: Vec::new(), complete: list.complete(), unread: Vec::new(), doubt: None };
        reading.unread.extend(sentences(&list.missing));
        reading.unread.extend(sentences(&list.remarks));
        if !reading.complete && reading.unread.is_empty() {
            reading.unread.push("the OLT does not say how many ONUs there are".to_owned());
        }
        if list.rows.is_empty() {
            if reading.complete {
                let doubt = self.doubt_or_unknown(pon).await?;
                reading.complete = doubt.is_none();
                reading
                    .unread
                    .extend(doubt.map(|why| format!("no ONU is listed, and that is not believed: {why}")));
            }
            return Ok(reading);
        }
        let online =
            |id: &u16| list.rows.iter().any(|row| row.onu_id == *id && row.run_state == RunState::Online);
        if !expected.iter().all(online)
            && let Some(why) = self.doubt_or_unknown(pon).await?
        {
            reading.complete = false;
            reading.unread.push(format!("that ONUs are offline or missing is not believed: {why}"));
            reading.doubt = Some(why);
        }
        let summary = self.table("onu_summary_of_pon", &parameters, |p, t| p.onu_summary_of_pon(t)).await;
        let mut summaries: BTreeMap<u16, OnuSummary> = match summary {
            Ok(table) => {
                reading.unread.extend(sentences(&table.missing));
                table.rows.into_iter().filter(|s| s.pon == pon).map(|s| (s.onu_id, s)).collect()
            }
            // Older software has no summary; states alone are still worth showing.
            Err(OltError::Refused { class: ErrorClass::Syntax, .. }) => BTreeMap::new(),
            Err(error) => {
                reading.unread.push(error.to_string());
                BTreeMap::new()
            }
        };
        reading.onus = list
            .rows
            .into_iter()
            .map(|row| OnuState {
                summary: summaries.remove(&row.onu_id).filter(|s| s.serial_text == row.serial_text),
                row,
            })
            .collect();
        Ok(reading)
    }

    /// Optics of all ONUs on a PON, row by row.
    ///
    /// # Errors
    /// [`OltError`] when the table was not given at all.
    pub async fn optics(&mut self, pon: PonPath) -> Result<Table<OnuOptics>, OltError> {
        self.table("optics_of_pon", &place(OnuRef { pon, onu_id: 0 }), |p, t| p.optics_of_pon(t)).await
    }
}
