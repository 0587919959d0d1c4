//! Certificates of CPEs: one that names its device is a proof of it as its own secret is; one that names another device is
//! refused, and the device that was named is told of.

use crate::{
    App, AppError,
    ports::{AuthLevel, Identity, Peer},
};
use provisioning::InformFacts;
use std::net::IpAddr;
use store::{cpes, rows};

/// Names of a certificate, and characters of each, that a timeline tells.
const TOLD: (usize, usize) = (3, 80);

impl App {
    /// Whose proof a certificate is: of the device that informs, if that is known. A device that nobody knows yet has shown
    /// that it is the one that it says it is; whose it is, an OLT or an operator says, as of every other.
    pub(super) async fn by_certificate(&self, inform: &InformFacts, peer: Peer) -> Result<Peer, AppError> {
        if peer.identity.level != AuthLevel::Own || peer.identity.cpe.is_some() {
            return Ok(peer);
        }
        let identity = match self.known_as(inform).await? {
            Some(row) => Identity { cpe: Some(row.id), ..peer.identity },
            None => Identity { level: AuthLevel::Bootstrap, ..peer.identity },
        };
        Ok(Peer { identity, ..peer })
    }

    /// Tells in the history of a CPE that somebody else, with a certificate of its own, says to be it.
    pub(super) async fn tell_of_certificate(
        &self,
        inform: &InformFacts,
        names: &[String],
        from: IpAddr,
    ) -> Result<(), AppError> {
        let Some(row) = self.known_as(inform).await? else { return Ok(()) };
        let (most, longest) = TOLD;
        let shown = |name: &String| {
            let text: String = name.chars().filter(|c| !c.is_control()).take(longest).collect();
            format!("{text:?}")
        };
        let named = match names {
            [] => "names nobody".to_owned(),
            names => {
                let named: Vec<String> = names.iter().take(most).map(shown).collect();
                format!("names {}", named.join(", "))
            }
        };
        let text = format!(
            "Somebody informs from {from} with the name of {}, and with a certificate that {named}. It was told nothing. \
             If it is the CPE, it has the certificate of another one: give it its own.",
            inform.serial_number
        );
        self.report_cpe(&row, "identity_certificate", &text, store::Severity::Bad).await
    }

    /// The CPE that is known under this name and has spoken.
    async fn known_as(&self, inform: &InformFacts) -> Result<Option<rows::Cpe>, AppError> {
        let (oui, class, serial) = (&inform.oui, &inform.product_class, &inform.serial_number);
        let row = cpes::by_identity(self.store(), oui, class, serial).await?;
        Ok(row.filter(|row| !cpes::is_placeholder(row)))
    }
}
