//! One box for everything: serial in any notation, MAC, IP address, name, phone, PPPoE login, service code, address.
//!
//! What people remember in part (a name, a login, a serial) is looked for in the tables that have a row per subscriber.
//! Of the parameters of CPEs, which are hundreds per subscriber, only whole addresses are, by index.

use super::{Page, Read, sql::Sql};
use crate::{StoreError, address};
use sea_orm::FromQueryResult;

/// What a hit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HitKind {
    /// A service.
    Service,
    /// A customer.
    Customer,
    /// An ONU row.
    Onu,
    /// An ONU seen and not planned.
    Detected,
    /// A CPE.
    Cpe,
    /// An OLT.
    Olt,
}

/// Something found.
#[derive(Debug, Clone)]
pub struct Hit {
    /// What it is.
    pub kind: HitKind,
    /// Its id.
    pub id: i64,
    /// Its name for people.
    pub title: String,
    /// What else helps to recognise it.
    pub detail: String,
    /// Its state word as stored, if it has one.
    pub state: Option<String>,
}

#[derive(FromQueryResult)]
struct Found {
    id: i64,
    title: String,
    detail: Option<String>,
    more: Option<String>,
    state: Option<String>,
}

/// The part of a canonical serial (16 hex digits) that `q` can be:
/// - a whole serial in any notation;
/// - the start of one with its vendor: four letters, then at most eight hex digits. Without the separator of a label
///   (`HWTC-7D47`, `HWTC:7D47`) names would pass for one (`Amina` is AMIN and A), so then one of them is a decimal
///   digit, or all eight are there;
/// - at least four hex digits of it, one of them decimal, in groups of whole bytes if in groups at all: `C-20417` is
///   somebody's number for something else.
pub fn serial_needle(q: &str) -> Option<String> {
    let q = q.trim().trim_matches('"');
    if let Ok(serial) = q.parse::<types::Serial>() {
        return Some(serial.hex16());
    }
    let is_hex = |text: &str| text.bytes().all(|b| b.is_ascii_hexdigit());
    let has_digit = |text: &str| text.bytes().any(|b| b.is_ascii_digit());
    let groups: Vec<&str> = q.split(['-', ':', ' ', '.']).collect();
    let bare = groups.concat();
    if bare.len() < 4 || bare.len() > 16 || !bare.is_ascii() || q.parse::<std::net::IpAddr>().is_ok() {
        return None;
    }
    if is_hex(&bare) && has_digit(&bare) {
        let whole_bytes = groups.iter().rev().skip(1).all(|group| group.len() >= 2 && group.len() % 2 == 0);
        return whole_bytes.then(|| bare.to_ascii_uppercase());
    }
    let (vendor, rest) = bare.split_at(4);
    let fits =
        vendor.bytes().all(|b| b.is_ascii_alphabetic()) && (1..=8).contains(&rest.len()) && is_hex(rest);
    let labelled = groups.len() == 2 && q.contains(['-', ':']);
    let apart = groups.len() == 1 || groups[0] == vendor;
    let sure = apart && (labelled || has_digit(rest) || rest.len() == 8);
    (fits && sure)
        .then(|| format!("{}{}", hex::encode_upper(vendor.to_ascii_uppercase()), rest.to_ascii_uppercase()))
}

/// How the canonical serials of a vendor begin, if `q` can be one: the four letters of a label, `HWTC` or `HWTC-`.
pub fn vendor_needle(q: &str) -> Option<String> {
    let vendor = q.trim().trim_matches('"').trim_end_matches(['-', ':']);
    let fits = vendor.len() == 4 && vendor.bytes().all(|b| b.is_ascii_alphabetic());
    fits.then(|| hex::encode_upper(vendor.to_ascii_uppercase()))
}

/// What a canonical serial must be `LIKE`, if `q` can be one, a part of one or its vendor.
pub(super) fn serial_like(q: &str) -> Option<String> {
    serial_needle(q).map(|hex| format!("%{hex}%")).or_else(|| vendor_needle(q).map(|hex| format!("{hex}%")))
}

/// The CPEs that hold this address, those that were read last first: an address that moved is known of two.
fn by_address(address: String, page: Page) -> Sql {
    let mut sql = Sql::new(
        "SELECT p.id, p.serial_number AS title, p.model AS detail, a.path AS more, p.state AS state \
         FROM (SELECT cpe_id, path FROM cpe_addresses WHERE address =",
    );
    // One that thousands claim to have identifies none of them; sorting all of them would serve nobody.
    sql.bind(address)
        .push("LIMIT 1000) a")
        .push(
            "JOIN cpe_parameters x ON x.cpe_id = a.cpe_id AND x.path = a.path JOIN cpes p ON p.id = a.cpe_id",
        )
        .push("ORDER BY x.read_at DESC, p.id, a.path")
        .page(page);
    sql
}

/// Letters and digits of a phone number, so that `+357 99-000142` finds `+357 99 000 142`.
fn phone_digits(q: &str) -> Option<String> {
    let digits: String = q.chars().filter(char::is_ascii_digit).collect();
    let plain = q.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | ' ' | '-' | '(' | ')' | '.' | '/'));
    (plain && digits.len() >= 5).then_some(digits)
}

impl Read<'_> {
    async fn hits(&self, kind: HitKind, sql: Sql, hits: &mut Vec<Hit>) -> Result<(), StoreError> {
        for found in self.all::<Found>(sql).await? {
            if hits.iter().any(|hit| hit.kind == kind && hit.id == found.id) {
                continue;
            }
            let detail = [found.detail, found.more].into_iter().flatten().filter(|part| !part.is_empty());
            hits.push(Hit {
                kind,
                id: found.id,
                title: found.title,
                detail: detail.collect::<Vec<_>>().join(" · "),
                state: found.state,
            });
        }
        Ok(())
    }

    /// Everything that `q` can mean, best first, `limit` of each kind at most. Fewer than two characters find nothing.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn search(&self, q: &str, limit: u32) -> Result<Vec<Hit>, StoreError> {
        let q: String = q.trim().chars().take(100).collect();
        let mut hits = Vec::new();
        if q.chars().count() < 2 {
            return Ok(hits);
        }
        let page = Page::first(limit.min(50));
        let address = address::typed(&q);
        let phone = phone_digits(&q);
        let serial_pattern = serial_like(&q);

        let mut sql = Sql::new(
            "SELECT s.id, s.code AS title, c.name AS detail, COALESCE(o.serial, s.expected_serial, s.pppoe_login) AS more, \
             COALESCE(p.state, s.state) AS state FROM services s JOIN customers c ON c.id = s.customer_id \
             LEFT JOIN onus o ON o.id = s.onu_id LEFT JOIN cpes p ON p.id = s.cpe_id",
        );
        sql.and_contains(&["s.code", "s.pppoe_login", "c.name", "s.address"], &q);
        if let Some(pattern) = &serial_pattern {
            sql.push("OR o.serial LIKE")
                .bind(pattern.clone())
                .push("OR s.expected_serial LIKE")
                .bind(pattern.clone());
        }
        if let Some(digits) = &phone {
            sql.push("OR REPLACE(REPLACE(REPLACE(c.phone, ' ', ''), '-', ''), '.', '') LIKE")
                .bind(format!("%{digits}%"));
        }
        sql.push("ORDER BY s.code").page(page);
        self.hits(HitKind::Service, sql, &mut hits).await?;

        let mut sql = Sql::new(
            "SELECT c.id, c.name AS title, c.code AS detail, c.phone AS more, NULL AS state FROM customers c",
        );
        sql.and_contains(&["c.name", "c.code", "c.phone", "c.email"], &q);
        if let Some(digits) = &phone {
            sql.push("OR REPLACE(REPLACE(REPLACE(c.phone, ' ', ''), '-', ''), '.', '') LIKE")
                .bind(format!("%{digits}%"));
        }
        sql.push("ORDER BY c.name, c.id").page(page);
        self.hits(HitKind::Customer, sql, &mut hits).await?;

        let mut sql = Sql::new(
            "SELECT o.id, o.serial AS title, t.name AS detail, o.pon AS more, o.presence AS state \
             FROM onus o JOIN olts t ON t.id = o.olt_id",
        );
        sql.and_contains(&["o.description"], &q);
        if let Some(pattern) = &serial_pattern {
            sql.push("OR o.serial LIKE").bind(pattern.clone());
        }
        sql.push("ORDER BY o.serial, o.id").page(page);
        self.hits(HitKind::Onu, sql, &mut hits).await?;

        if let Some(pattern) = &serial_pattern {
            let mut sql = Sql::new(
                "SELECT d.id, d.serial AS title, t.name AS detail, d.pon AS more, d.state AS state \
                 FROM detected_onus d JOIN olts t ON t.id = d.olt_id",
            );
            sql.and("d.state = 'waiting'").and("d.serial LIKE").bind(pattern.clone());
            sql.push("ORDER BY d.last_seen_at DESC, d.id").page(page);
            self.hits(HitKind::Detected, sql, &mut hits).await?;
        }

        if let Some(address) = &address {
            self.hits(HitKind::Cpe, by_address(address.clone(), page), &mut hits).await?;
        }
        let mut sql = Sql::new(
            "SELECT p.id, p.serial_number AS title, p.model AS detail, p.peer_address AS more, p.state AS state FROM cpes p",
        );
        sql.and_contains(&["p.serial_number", "p.model", "p.peer_address"], &q);
        if let Some(pattern) = &serial_pattern {
            sql.push("OR p.pon_serial LIKE").bind(pattern.clone());
            sql.push("OR p.claimed_serial LIKE").bind(pattern.clone());
        }
        // The address itself before those that only begin like it.
        sql.push("ORDER BY CASE WHEN p.peer_address =")
            .bind(address.unwrap_or_default())
            .push("THEN 0 ELSE 1 END, p.serial_number, p.id")
            .page(page);
        self.hits(HitKind::Cpe, sql, &mut hits).await?;

        let mut sql = Sql::new(
            "SELECT t.id, t.name AS title, t.address AS detail, NULL AS more, t.observed_state AS state FROM olts t",
        );
        sql.and_contains(&["t.name", "t.address"], &q);
        sql.push("ORDER BY t.name, t.id").page(page);
        self.hits(HitKind::Olt, sql, &mut hits).await?;
        Ok(hits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_serial_in_five_notations() {
        for q in [
            "485754437D4733C3",
            "HWTC7D4733C3",
            "hwtc-7d4733c3",
            "HWTC:7D4733C3",
            "485754437D4733C3 (HWTC-7D4733C3)",
        ] {
            assert_eq!(serial_needle(q).as_deref(), Some("485754437D4733C3"), "{q}");
        }
    }

    #[test]
    fn a_part_of_a_serial() {
        assert_eq!(serial_needle("HWTC-7D47").as_deref(), Some("485754437D47"));
        assert_eq!(serial_needle("7d4733").as_deref(), Some("7D4733"));
        assert_eq!(serial_needle("4857 5443").as_deref(), Some("48575443"));
        assert_eq!(serial_needle("amina"), None);
        assert_eq!(serial_needle("cafe"), None, "a word, not a number");
        assert_eq!(serial_needle("S-20417"), None);
        assert_eq!(serial_needle("Ω"), None);
    }

    #[test]
    fn a_vendor_and_some_digits_are_no_name() {
        for (q, want) in [
            ("HWTC7D4733", "485754437D4733"),
            ("hwtc7d", "485754437D"),
            ("HWTC:AB", "48575443AB"),
            ("ZTEGABCDEFAB", "5A544547ABCDEFAB"),
            ("HWTC 7D47 33", "485754437D4733"),
            ("48:57:54:43:7d:4", "485754437D4"),
        ] {
            assert_eq!(serial_needle(q).as_deref(), Some(want), "{q}");
        }
        for q in [
            "Rebecca",
            "nina be",
            "Jo-Ed",
            "Amina Cade",
            "C-20417",
            "C-1001",
            "99 000 142",
            "10.20.30.40",
            "HWTC",
            "HWTC-",
            "HWT-C7D4",
        ] {
            assert_eq!(serial_needle(q), None, "{q}");
        }
    }

    #[test]
    fn a_vendor_is_how_its_serials_begin() {
        for q in ["HWTC", "hwtc", "HWTC-", " hwtc: "] {
            assert_eq!(serial_like(q).as_deref(), Some("48575443%"), "{q}");
        }
        assert_eq!(serial_like("HWTC-7D").as_deref(), Some("%485754437D%"));
        for q in ["HWT", "HWTCX", "HW-TC", "H1TC", "-HWT"] {
            assert_eq!(vendor_needle(q), None, "{q}");
        }
    }

    #[tokio::test]
    async fn an_address_is_looked_up_by_index() {
        use sea_orm::{ConnectionTrait, Statement};
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite://{}", folder.path().join("lk.db").display());
        let key = crate::KeySource::File(folder.path().join("key"));
        let store = crate::Store::open(crate::StoreConfig::new(url, key)).await.expect("opens");
        let (text, values) = by_address("00:25:9E:AA:BB:CC".to_owned(), Page::default()).into_parts();
        let explain = format!("EXPLAIN QUERY PLAN {text}");
        let explain = Statement::from_sql_and_values(store.get_database_backend(), explain, values);
        let plan: Vec<String> = store
            .query_all_raw(explain)
            .await
            .expect("explains")
            .iter()
            .map(|row| row.try_get("", "detail").expect("text"))
            .collect();
        let plan = plan.join("\n");
        assert!(plan.contains("USING INDEX cpe_addresses_address"), "{plan}");
        for table in ["cpe_addresses", "cpe_parameters", "x", "p", "cpes"] {
            assert!(
                !plan
                    .lines()
                    .any(|line| line.starts_with(&format!("SCAN {table}")) && !line.contains("INDEX")),
                "{plan}"
            );
        }
    }

    #[test]
    fn phones() {
        assert_eq!(phone_digits("+357 99-000142").as_deref(), Some("35799000142"));
        assert_eq!(phone_digits("S-20417"), None);
    }
}
