//! The demo's verdict: every ONU, where it is, why, and whether that is what the scenario expects.

use app::{App, AppError};
use sim::scenario::OnuPlan;
use store::{DetectedState, cpes, detected, olts, onus};

/// One ONU of the scenario as it stands.
pub(crate) struct Standing {
    serial: String,
    place: String,
    group: String,
    pub(crate) state: String,
    code: String,
    reason: String,
    pub(crate) as_expected: bool,
}

pub(crate) async fn standings(app: &App, plans: &[OnuPlan]) -> Result<Vec<Standing>, AppError> {
    let mut all = Vec::with_capacity(plans.len());
    for plan in plans {
        all.push(standing(app, plan).await?);
    }
    Ok(all)
}

async fn standing(app: &App, plan: &OnuPlan) -> Result<Standing, AppError> {
    let store = app.store();
    let cpe = cpes::by_any_serial(store, plan.serial).await?.into_iter().max_by_key(|cpe| cpe.last_inform_at);
    let seen = match olts::by_name(store, &plan.olt).await? {
        Some(olt) => detected::by_serial(store, olt.id, plan.serial).await?,
        None => None,
    };
    let authorised = onus::by_serial(store, plan.serial).await?.is_some();
    let waiting = seen.as_ref().is_some_and(|seen| seen.state == DetectedState::Waiting);
    let (state, code, reason) = match (&cpe, &seen) {
        (Some(cpe), _) => (cpe.state.clone(), cpe.reason_code.clone(), cpe.reason_text.clone()),
        (None, Some(seen)) if !authorised => {
            let text = if waiting { "waits for somebody to authorise it" } else { "being authorised" };
            ("DETECTED".to_owned(), seen.state.as_str().to_owned(), text.to_owned())
        }
        (None, _) if authorised => {
            ("AUTHORISED".to_owned(), String::new(), "its CPE has not spoken yet".to_owned())
        }
        (None, _) => ("—".to_owned(), String::new(), "not seen by the OLT yet".to_owned()),
    };
    let expect = &plan.expect;
    let state_ok = expect.state.is_empty() || expect.state.contains(&state);
    let reason_ok = expect.reason.is_empty() || expect.reason.contains(&code);
    let detected_ok = !expect.detected || (waiting && !authorised);
    Ok(Standing {
        serial: plan.serial.to_string(),
        place: plan.pon.to_string(),
        group: plan.group.clone(),
        state,
        code,
        reason,
        as_expected: state_ok && reason_ok && detected_ok,
    })
}

/// For a terminal: one line per ONU, those that are not as expected marked.
pub(crate) fn print(standings: &[Standing]) {
    println!("{:<14} {:<7} {:<24} {:<15} {:<28} REASON", "ONU", "PON", "SHOWS", "STATE", "CODE");
    for one in standings {
        let mark = if one.as_expected { ' ' } else { '!' };
        println!(
            "{:<14} {:<7} {:<24} {:<15} {:<28} {}{mark}",
            one.serial,
            one.place,
            one.group.chars().take(24).collect::<String>(),
            one.state,
            one.code,
            one.reason
        );
    }
    let good = standings.iter().filter(|one| one.as_expected).count();
    println!("{good} of {} ONUs are as the scenario expects.", standings.len());
}
