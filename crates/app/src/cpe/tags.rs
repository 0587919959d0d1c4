//! Words on CPEs, and faults that were taken note of: both are for people and programs, and tell no device anything.

use crate::{Actor, App, AppError, Change, Permission};
use store::{StoreError, rows, tags};
use types::CpeId;

/// Longest tag, in characters.
const LONGEST: usize = 64;

/// A tag as it is kept.
///
/// # Errors
/// Why it is none.
pub(crate) fn tag_of(text: &str) -> Result<String, String> {
    let tag = text.trim();
    if tag.is_empty() {
        return Err("is empty.".to_owned());
    }
    if tag.chars().count() > LONGEST {
        return Err(format!("is longer than {LONGEST} characters."));
    }
    if tag.chars().any(|c| c.is_control() || c == '\u{FFFD}') {
        return Err("holds characters that cannot be shown.".to_owned());
    }
    Ok(tag.to_owned())
}

impl App {
    /// Puts a word on a CPE, to find it by. One that is there already changes nothing.
    ///
    /// # Errors
    /// [`AppError::NotFound`], [`AppError::Forbidden`], [`AppError::Invalid`] for a word that cannot be one.
    pub async fn tag_cpe(&self, actor: &Actor, cpe: CpeId, tag: &str) -> Result<(), AppError> {
        actor.require(Permission::OperateCpe)?;
        let row: rows::Cpe = self.found(cpe, "CPE").await?;
        let tag = tag_of(tag).map_err(|why| AppError::invalid("tag", why))?;
        let kept = rows::CpeTag { cpe_id: cpe, tag: tag.clone(), set_by: actor.label(), set_at: self.now() };
        self.changed_tag(actor, &row, "cpe.tag", &tag, Some(kept)).await
    }

    /// Takes a word from a CPE. One that is not there changes nothing.
    ///
    /// # Errors
    /// As [`App::tag_cpe`].
    pub async fn untag_cpe(&self, actor: &Actor, cpe: CpeId, tag: &str) -> Result<(), AppError> {
        actor.require(Permission::OperateCpe)?;
        let row: rows::Cpe = self.found(cpe, "CPE").await?;
        self.changed_tag(actor, &row, "cpe.untag", tag.trim(), None).await
    }

    async fn changed_tag(
        &self,
        actor: &Actor,
        row: &rows::Cpe,
        action: &str,
        tag: &str,
        kept: Option<rows::CpeTag>,
    ) -> Result<(), AppError> {
        let cpe = row.id;
        let given = Some(serde_json::json!({ "tag": tag }));
        let (before, after) = if kept.is_some() { (None, given) } else { (given, None) };
        let audit = self.audit_row(actor, action, &format!("cpe:{cpe}"), before, after);
        let entry = rows::TimelineEntry {
            at: self.now(),
            kind: "operator".into(),
            cpe_id: Some(cpe),
            service_id: row.service_id,
            code: action.replace('.', "_"),
            text: match &kept {
                Some(_) => format!("Tag {tag:?} added."),
                None => format!("Tag {tag:?} removed."),
            },
            actor: actor.label(),
            facts: serde_json::json!({}),
            ..Default::default()
        };
        let tag = tag.to_owned();
        let changed = self.store().write::<_, _, StoreError>(move |tx| {
            let (audit, entry, kept, tag) = (audit.clone(), entry.clone(), kept.clone(), tag.clone());
            Box::pin(async move {
                let changed = match &kept {
                    Some(kept) => tags::add(tx, kept).await?,
                    None => tags::remove(tx, cpe, &tag).await?,
                };
                if changed {
                    tx.insert(&audit).await?;
                    tx.insert(&entry).await?;
                }
                Ok(changed)
            })
        });
        if changed.await? {
            self.bus().say(Change::Cpe(cpe));
        }
        Ok(())
    }

    /// Takes note of a fault: it is kept and stands no more. Where its device waits because of a failure, the waiting ends.
    /// Nothing is written to the device by that; cool-down and gates still count. False if no such fault stood.
    ///
    /// # Errors
    /// [`AppError::NotFound`], [`AppError::Forbidden`].
    pub async fn dismiss_fault(&self, actor: &Actor, cpe: CpeId, fault: i64) -> Result<bool, AppError> {
        actor.require(Permission::OperateCpe)?;
        let row: rows::Cpe = self.found(cpe, "CPE").await?;
        let audit = self.audit_row(
            actor,
            "cpe.dismiss_fault",
            &format!("cpe:{cpe}"),
            None,
            Some(serde_json::json!({ "fault": fault })),
        );
        let at = self.now();
        let stood = self.store().write::<_, _, StoreError>(move |tx| {
            let audit = audit.clone();
            Box::pin(async move {
                let stood = tags::dismiss_fault(tx, cpe, fault, at).await?;
                if stood {
                    tx.insert(&audit).await?;
                }
                Ok(stood)
            })
        });
        if !stood.await? {
            return Ok(false);
        }
        self.bus().say(Change::Cpe(cpe));
        if row.state == "FAILED" {
            self.retry_cpe(actor, cpe).await?;
        }
        Ok(true)
    }
}
