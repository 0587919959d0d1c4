//! CRM: who buys what, and the service that comes of it.

use crate::{
    cell::{Cell, Raw, near, read},
    error::StoreError,
    record::{
        ColumnSpec, TableSpec,
        stored::{Guardable, Numbered, PrimaryKeyOf, Stored},
        table,
    },
    sealing::Sealed,
    words::*,
};
use sea_orm::ActiveValue::Set;
use types::*;

table! { versioned "customers"
    /// A person or company that buys.
    #[derive(Default)]
    customers => Customer[CustomerId] {
        /// Our number for them, printed on bills; unique.
        code: String,
        /// Name.
        name: String,
        /// Telephone; empty if unknown.
        phone: String,
        /// E-mail; empty if unknown.
        email: String,
        /// Postal address; empty if unknown.
        address: String,
        /// Anything else worth knowing.
        note: String,
        /// When the row was made.
        created_at: UtcMs,
    }
}

table! { versioned "plans"
    /// What is on sale (TMF620 ProductOffering).
    #[derive(Default)]
    plans => Plan[PlanId] {
        /// Name; unique.
        name: String,
        /// Downstream rate.
        down_kbps: i64,
        /// Upstream rate.
        up_kbps: i64,
        /// Price per month in minor units of `currency`.
        price_minor: i64,
        /// ISO 4217 code.
        currency: String,
        /// How the customer's router reaches the internet: `pppoe`, `dhcp`, `static`, `bridge`.
        internet_mode: String,
        /// VLAN of the internet service, if not the OLT's default.
        vlan: Option<i64>,
        /// Whether it is still sold.
        active: bool,
        /// When the row was made.
        created_at: UtcMs,
    }
}

table! { versioned "services"
    /// The service: contract line, ONU and CPE in one row (TMF638 Service).
    #[derive(Default)]
    services => Service[ServiceId] {
        /// Number for people, `S-10001`; unique.
        code: String,
        /// Whose.
        customer_id: CustomerId,
        /// What was bought.
        plan_id: PlanId,
        /// Life of the service.
        state: ServiceState,
        /// What the network lets through.
        access_state: AccessState,
        /// Why not everything: `unpaid`, `customer_request`, `abuse` …
        deny_reason: Option<String>,
        /// PPPoE user name; unique.
        pppoe_login: Option<String>,
        /// The ONU that was given to the customer.
        expected_serial: Option<Serial>,
        /// Where.
        address: String,
        /// The planned ONU; at most one service per ONU.
        onu_id: Option<OnuRowId>,
        /// The CPE; at most one service per CPE.
        cpe_id: Option<CpeId>,
        /// First time in use.
        activated_at: Option<UtcMs>,
        /// When the row was made.
        created_at: UtcMs,
    }
}

table! { keyed "service_intents"
    /// What one layer of a service should be.
    #[derive(Default)]
    service_intents => ServiceIntent by {
        /// Service.
        service_id: ServiceId,
        /// Layer.
        layer: Layer,
    } and {
        /// Counts changes of this intent.
        intent_version: i64,
        /// The intent as JSON, sealed as a whole since it holds passwords.
        body_sealed: Sealed,
        /// Of the canonical form: equal hash, equal intent.
        hash: String,
        /// Last change.
        updated_at: UtcMs,
        /// By whom.
        updated_by: String,
    }
}
