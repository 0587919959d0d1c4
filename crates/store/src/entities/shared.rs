//! What all parts share: history, people and keys, jobs, settings.

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
use serde_json::Value as Document;
use types::*;

table! { numbered "timeline"
    /// A line of history, shown with every subject it names.
    #[derive(Default)]
    timeline => TimelineEntry[TimelineId] {
        /// When.
        at: UtcMs,
        /// What kind of line: `state`, `task`, `intent`, `login` …
        kind: String,
        /// Service it is about.
        service_id: Option<ServiceId>,
        /// ONU it is about.
        onu_row_id: Option<OnuRowId>,
        /// OLT it is about.
        olt_id: Option<OltId>,
        /// CPE it is about.
        cpe_id: Option<CpeId>,
        /// Customer it is about.
        customer_id: Option<CustomerId>,
        /// State before, if it is a transition.
        from_state: Option<String>,
        /// State after.
        to_state: Option<String>,
        /// How it feels.
        severity: Severity,
        /// Reason code.
        code: String,
        /// The sentence.
        text: String,
        /// What happens next.
        next_text: Option<String>,
        /// Who: a user, an API key, `system`, a device.
        actor: String,
        /// The facts behind the sentence.
        facts: Document,
    }
}

table! { versioned "users"
    /// Somebody who operates the system.
    #[derive(Default)]
    users => User[UserId] {
        /// Login name; unique.
        name: String,
        /// Argon2 hash in PHC form.
        password_hash: String,
        /// What they may do.
        role: Role,
        /// Whether they may log in.
        active: bool,
        /// Whether they must choose a new password first.
        must_change: bool,
        /// When the row was made.
        created_at: UtcMs,
    } apart {
        /// Last login.
        last_login_at: Option<UtcMs>,
    }
}

table! { keyed "web_sessions"
    /// A browser that is logged in.
    #[derive(Default)]
    web_sessions => WebSession by {
        /// SHA-256 of the cookie, hex.
        token_hash: String,
    } and {
        /// Whose.
        user_id: UserId,
        /// Login.
        created_at: UtcMs,
        /// End, whatever happens.
        expires_at: UtcMs,
        /// Last request.
        last_seen_at: UtcMs,
        /// Where it logged in from.
        address: String,
    }
}

table! { versioned "api_keys"
    /// A key for programs.
    #[derive(Default)]
    api_keys => ApiKey[ApiKeyId] {
        /// Name for people.
        name: String,
        /// SHA-256 of the key, hex; unique.
        key_hash: String,
        /// What it may do.
        scopes: Document,
        /// Who made it.
        created_by: String,
        /// When.
        created_at: UtcMs,
        /// End, if it has one.
        expires_at: Option<UtcMs>,
        /// When it was taken back.
        revoked_at: Option<UtcMs>,
    } apart {
        /// Last use.
        last_used_at: Option<UtcMs>,
    }
}

table! { numbered "audit_log"
    /// Who did what. Appended to, never changed.
    #[derive(Default)]
    audit_log => AuditEntry[i64] {
        /// When.
        at: UtcMs,
        /// Who.
        actor: String,
        /// What.
        action: String,
        /// To what: `service:17`, `olt:3` …
        subject: String,
        /// How it was; secrets masked.
        before: Option<Document>,
        /// How it is; secrets masked.
        after: Option<Document>,
        /// From where.
        address: String,
        /// Which request.
        request_id: String,
    }
}

table! { numbered "jobs"
    /// Work to be done later, by whichever node takes it.
    #[derive(Default)]
    jobs => Job[JobId] {
        /// Which worker.
        kind: String,
        /// While a job with this key is open, another is not accepted.
        key: Option<String>,
        /// What to do. No secrets.
        payload: Document,
        /// Where it stands.
        state: JobState,
        /// Not before.
        run_at: UtcMs,
        /// Whose it is until when.
        lease_until: Option<UtcMs>,
        /// Whose it is.
        lease_owner: Option<String>,
        /// How often it was begun.
        attempts: i64,
        /// How often it may be begun.
        max_attempts: i64,
        /// Why it failed last.
        last_error: Option<String>,
        /// When it was asked for.
        created_at: UtcMs,
        /// When it was done or given up.
        finished_at: Option<UtcMs>,
    }
}

table! { numbered "outbox"
    /// Something that happened and that somebody must act on, to be told exactly as it was committed.
    #[derive(Default)]
    outbox => OutboxEvent[i64] {
        /// When.
        at: UtcMs,
        /// Kind.
        topic: String,
        /// What. No secrets.
        payload: Document,
        /// When it was told.
        delivered_at: Option<UtcMs>,
    }
}

table! { keyed "settings"
    /// A setting of the installation.
    #[derive(Default)]
    settings => Setting by {
        /// Name.
        key: String,
    } and {
        /// Value.
        value: Document,
        /// Last change.
        updated_at: UtcMs,
        /// By whom.
        updated_by: String,
        /// Counts changes.
        version: i64,
    }
}

table! { keyed "idempotency"
    /// A request that was already made, and its answer.
    #[derive(Default)]
    idempotency => IdempotencyRecord by {
        /// Whose requests: a user or API key and an operation.
        scope: String,
        /// The caller's key.
        key: String,
    } and {
        /// Of the request: the same key with another request is refused.
        request_hash: String,
        /// The answer, once there is one.
        response: Option<Document>,
        /// When it was made, or when its process last said that it is under way.
        created_at: UtcMs,
    }
}

table! { keyed "node_leases"
    /// Who may act alone on something until when, among the nodes of one installation.
    #[derive(Default)]
    node_leases => NodeLease by {
        /// On what: `olt:3`, `sweep` …
        name: String,
    } and {
        /// Which node.
        owner: String,
        /// Until when.
        until: UtcMs,
        /// Which taking of it this is; see [`crate::leases`].
        token: i64,
    }
}

table! { keyed "refused_addresses"
    /// An address that spoke to the ACS by plain HTTP from outside the management networks.
    #[derive(Default)]
    refused_addresses => RefusedAddress by {
        /// The address.
        address: String,
    } and {
        /// It is one of the internet, not of a private network.
        public: bool,
        /// So often.
        times: i64,
        /// First.
        first_at: UtcMs,
        /// Last.
        last_at: UtcMs,
    }
}

table! { keyed "schema_state"
    /// The one row that says how far the schema is.
    #[derive(Default)]
    schema_state => SchemaState by {
        /// Always 1.
        id: i64,
    } and {
        /// How many migrations are applied.
        schema_version: i64,
        /// `ready`, or `migrating` with the name of the migration.
        phase: String,
        /// Last migration, or the one in hand.
        migration: String,
        /// Last change.
        at: UtcMs,
        /// A text everybody knows, sealed, to tell the right key from a wrong one.
        canary_sealed: Option<Sealed>,
    }
}
