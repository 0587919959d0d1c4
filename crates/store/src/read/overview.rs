//! The overview: what is wrong, in groups, and how much there is of everything.

use super::{Page, Read, onus::WEAK_CDBM, sql::Sql};
use crate::StoreError;
use sea_orm::FromQueryResult;

/// A state and how many rows are in it.
#[derive(Debug, Clone, FromQueryResult)]
#[allow(missing_docs)]
pub struct StateCount {
    pub state: String,
    pub n: i64,
}

/// CPEs that are not active for the same reason.
#[derive(Debug, Clone, FromQueryResult)]
#[allow(missing_docs)]
pub struct CpeTrouble {
    pub state: String,
    pub reason_code: String,
    pub model: String,
    /// The sentence of one of them.
    pub reason_text: String,
    pub reason_next: Option<String>,
    pub n: i64,
    /// How many of them are silent: their own contact is overdue by more than its grace.
    pub silent: i64,
    pub since: i64,
    /// One of them; when `n` is 1 it is the one.
    pub cpe_id: i64,
    pub service_id: Option<i64>,
    /// Whose it is; when `n` is 1 it is theirs.
    pub service_code: Option<String>,
    pub customer_name: Option<String>,
}

/// ONUs of one PON that are down.
#[derive(Debug, Clone, FromQueryResult)]
#[allow(missing_docs)]
pub struct OnuTrouble {
    pub olt_id: i64,
    pub olt_name: String,
    pub pon: String,
    pub down: i64,
    pub all_onus: i64,
    pub observed_at: Option<i64>,
}

/// Numbers of the overview.
#[derive(Debug, Clone, Default)]
pub struct Overview {
    /// Detected, waiting for somebody.
    pub detected: u64,
    /// Of these, with a service that waits for the serial.
    pub detected_matched: u64,
    /// ONUs we have planned.
    pub onus: u64,
    /// Of these, read as in service.
    pub onus_online: u64,
    /// Of these, read as not present.
    pub onus_down: u64,
    /// Of these, never read or not readable now.
    pub onus_unread: u64,
    /// Weaker than −25 dBm at the ONU.
    pub onus_weak: u64,
    /// CPEs by state.
    pub cpe_states: Vec<StateCount>,
    /// CPEs in quarantine.
    pub cpes_quarantined: u64,
    /// Services by state.
    pub service_states: Vec<StateCount>,
    /// Tasks by state.
    pub task_states: Vec<StateCount>,
    /// Faults since the time asked for.
    pub faults: u64,
    /// OLTs.
    pub olts: u64,
    /// OLTs that do not answer.
    pub olts_silent: u64,
}

#[derive(FromQueryResult)]
struct OnuCounts {
    all_onus: i64,
    online: i64,
    down: i64,
    weak: i64,
}

impl Overview {
    /// CPEs in `state`.
    pub fn cpes_in(&self, state: &str) -> u64 {
        self.cpe_states
            .iter()
            .find(|count| count.state == state)
            .map_or(0, |count| u64::try_from(count.n).unwrap_or(0))
    }

    /// CPEs in any state but `ACTIVE`.
    pub fn cpes_not_active(&self) -> u64 {
        self.cpes() - self.cpes_in("ACTIVE")
    }

    /// All CPEs.
    pub fn cpes(&self) -> u64 {
        self.cpe_states.iter().map(|count| u64::try_from(count.n).unwrap_or(0)).sum()
    }

    /// Tasks in one of `states`.
    pub fn tasks_in(&self, states: &[&str]) -> u64 {
        self.task_states
            .iter()
            .filter(|count| states.contains(&count.state.as_str()))
            .map(|count| u64::try_from(count.n).unwrap_or(0))
            .sum()
    }
}

impl Read<'_> {
    /// The numbers; faults are counted from `faults_since_at`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn overview(&self, faults_since_at: i64) -> Result<Overview, StoreError> {
        let mut onus = Sql::new(
            "SELECT COUNT(*) AS all_onus, COUNT(CASE WHEN presence = 'in_service' THEN 1 END) AS online, \
             COUNT(CASE WHEN presence IN ('not_present', 'emergency_stopped') THEN 1 END) AS down, COUNT(CASE WHEN rx_onu_cdbm <",
        );
        onus.bind(WEAK_CDBM).push("THEN 1 END) AS weak FROM onus WHERE removed_at IS NULL");
        let onus: Option<OnuCounts> = self.one(onus).await?;
        let onus = onus.unwrap_or(OnuCounts { all_onus: 0, online: 0, down: 0, weak: 0 });
        let positive = |n: i64| u64::try_from(n).unwrap_or(0);
        let mut faults = Sql::new("SELECT COUNT(*) AS n FROM cpe_faults WHERE at >=");
        faults.bind(faults_since_at);
        let count = |table: &'static str| Sql::new(&format!("SELECT COUNT(*) AS n FROM {table}"));
        Ok(Overview {
            detected: self.number(count("detected_onus WHERE state = 'waiting'")).await?,
            detected_matched: self
                .number(count(
                    "detected_onus d WHERE d.state = 'waiting' AND EXISTS (SELECT 1 FROM services s \
                     WHERE s.expected_serial = d.serial AND s.onu_id IS NULL AND s.state <> 'terminated')",
                ))
                .await?,
            onus: positive(onus.all_onus),
            onus_online: positive(onus.online),
            onus_down: positive(onus.down),
            onus_unread: positive(onus.all_onus - onus.online - onus.down),
            onus_weak: positive(onus.weak),
            cpe_states: self
                .all(Sql::new("SELECT state, COUNT(*) AS n FROM cpes GROUP BY state ORDER BY state"))
                .await?,
            cpes_quarantined: self.number(count("cpes WHERE quarantine")).await?,
            service_states: self
                .all(Sql::new("SELECT state, COUNT(*) AS n FROM services GROUP BY state ORDER BY state"))
                .await?,
            task_states: self
                .all(Sql::new("SELECT state, COUNT(*) AS n FROM olt_tasks GROUP BY state ORDER BY state"))
                .await?,
            faults: self.number(faults).await?,
            olts: self.number(count("olts")).await?,
            olts_silent: self.number(count("olts WHERE observed_state = 'silent'")).await?,
        })
    }

    /// CPEs that are not active, grouped by state, reason and model, largest group first (50 groups at most).
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn cpe_troubles(&self) -> Result<Vec<CpeTrouble>, StoreError> {
        let mut sql = Sql::new(
            "SELECT p.state, p.reason_code, p.model, MAX(p.reason_text) AS reason_text, \
             MAX(p.reason_next) AS reason_next, COUNT(*) AS n, \
             COUNT(CASE WHEN p.next_inform_by IS NOT NULL AND NOT EXISTS (SELECT 1 FROM cpe_timers t \
             WHERE t.cpe_id = p.id AND t.timer = 'inform_overdue') THEN 1 END) AS silent, MIN(p.state_since) AS since, MIN(p.id) AS cpe_id, \
             MIN(p.service_id) AS service_id, MIN(s.code) AS service_code, MIN(c.name) AS customer_name \
             FROM cpes p LEFT JOIN services s ON s.id = p.service_id LEFT JOIN customers c ON c.id = s.customer_id \
             WHERE p.state <> 'ACTIVE' GROUP BY p.state, p.reason_code, p.model \
             ORDER BY CASE p.state WHEN 'FAILED' THEN 0 WHEN 'INFORMED' THEN 1 WHEN 'OWNED' THEN 2 ELSE 3 END, COUNT(*) DESC",
        );
        sql.page(Page::first(50));
        self.all(sql).await
    }

    /// PONs on which at least `least` ONUs are down, worst first (50 at most).
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn onu_troubles(&self, least: i64) -> Result<Vec<OnuTrouble>, StoreError> {
        let mut sql = Sql::new(
            "SELECT o.olt_id, t.name AS olt_name, o.pon, COUNT(CASE WHEN o.presence IN ('not_present', 'emergency_stopped') THEN 1 END) AS down, \
             COUNT(*) AS all_onus, MAX(o.observed_at) AS observed_at FROM onus o JOIN olts t ON t.id = o.olt_id \
             WHERE o.removed_at IS NULL GROUP BY o.olt_id, t.name, o.pon HAVING COUNT(CASE WHEN o.presence IN ('not_present', 'emergency_stopped') THEN 1 END) >=",
        );
        sql.bind(least).push("ORDER BY COUNT(CASE WHEN o.presence IN ('not_present', 'emergency_stopped') THEN 1 END) DESC, t.name, o.pon");
        sql.page(Page::first(50));
        self.all(sql).await
    }
}
