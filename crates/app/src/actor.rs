//! Who acts, and what each role may do.

use serde::{Deserialize, Serialize};
pub use store::Role;
use types::{ApiKeyId, UserId};

/// One thing somebody may be allowed to do. Routes and commands name exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// See everything but secrets.
    Read,
    /// Create and change customers.
    WriteCustomers,
    /// Create services, change intents, suspend and resume.
    WriteServices,
    /// Have a new PPPoE password or Wi-Fi passphrase made, and see it once.
    RenewSecrets,
    /// Change plans.
    WritePlans,
    /// Authorise a detected ONU on an OLT.
    AuthoriseOnu,
    /// Hold, retry, call or claim a CPE.
    OperateCpe,
    /// Order a change of parameters of a CPE.
    ConfigureCpe,
    /// Order a restart or a factory reset of a CPE.
    RestartCpe,
    /// Upload and delete firmware files of CPEs.
    ManageFirmware,
    /// Add and change OLTs.
    WriteOlts,
    /// Change settings such as the ACS policy.
    WriteSettings,
    /// Read the audit log.
    ReadAudit,
    /// Create and change logins.
    ManageUsers,
    /// Create and revoke API keys.
    ManageKeys,
}

impl Permission {
    /// Every permission; API key scopes are these names.
    pub const ALL: [Permission; 15] = [
        Permission::Read,
        Permission::WriteCustomers,
        Permission::WriteServices,
        Permission::RenewSecrets,
        Permission::WritePlans,
        Permission::AuthoriseOnu,
        Permission::OperateCpe,
        Permission::ConfigureCpe,
        Permission::RestartCpe,
        Permission::ManageFirmware,
        Permission::WriteOlts,
        Permission::WriteSettings,
        Permission::ReadAudit,
        Permission::ManageUsers,
        Permission::ManageKeys,
    ];

    /// The scope name, e.g. `onus:authorise`.
    pub fn as_str(self) -> &'static str {
        match self {
            Permission::Read => "read",
            Permission::WriteCustomers => "customers:write",
            Permission::WriteServices => "services:write",
            Permission::RenewSecrets => "services:secrets",
            Permission::WritePlans => "plans:write",
            Permission::AuthoriseOnu => "onus:authorise",
            Permission::OperateCpe => "cpes:operate",
            Permission::ConfigureCpe => "cpes:configure",
            Permission::RestartCpe => "cpes:restart",
            Permission::ManageFirmware => "firmware:manage",
            Permission::WriteOlts => "olts:write",
            Permission::WriteSettings => "settings:write",
            Permission::ReadAudit => "audit:read",
            Permission::ManageUsers => "users:manage",
            Permission::ManageKeys => "keys:manage",
        }
    }

    /// Reads [`Permission::as_str`] back.
    pub fn parse(text: &str) -> Option<Permission> {
        Permission::ALL.into_iter().find(|permission| permission.as_str() == text)
    }

    /// True if a person in this role may do it.
    pub fn granted_to(self, role: Role) -> bool {
        use Permission::*;
        match role {
            Role::Admin => true,
            Role::Noc => !matches!(self, ManageUsers | ManageKeys),
            Role::Support => {
                matches!(
                    self,
                    Read | WriteCustomers
                        | WriteServices
                        | RenewSecrets
                        | OperateCpe
                        | RestartCpe
                        | AuthoriseOnu
                )
            }
            Role::Technician => matches!(self, Read | AuthoriseOnu | OperateCpe),
            Role::Viewer => matches!(self, Read),
        }
    }

    /// For refusals: "you may not …".
    pub fn verb(self) -> &'static str {
        match self {
            Permission::Read => "see this",
            Permission::WriteCustomers => "change customers",
            Permission::WriteServices => "change services",
            Permission::RenewSecrets => "make new passwords of services",
            Permission::WritePlans => "change plans",
            Permission::AuthoriseOnu => "authorise ONUs",
            Permission::OperateCpe => "operate CPEs",
            Permission::ConfigureCpe => "change parameters of CPEs",
            Permission::RestartCpe => "restart or reset CPEs",
            Permission::ManageFirmware => "manage firmware files",
            Permission::WriteOlts => "change OLTs",
            Permission::WriteSettings => "change settings",
            Permission::ReadAudit => "read the audit log",
            Permission::ManageUsers => "manage logins",
            Permission::ManageKeys => "manage API keys",
        }
    }
}

/// Who does it: shown on every timeline line and audit row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A person who logged in.
    User {
        /// Their login.
        id: UserId,
        /// Its name.
        name: String,
        /// What they may do.
        role: Role,
        /// Where the request came from.
        address: Option<String>,
    },
    /// A program with an API key.
    ApiKey {
        /// The key.
        id: ApiKeyId,
        /// Its name.
        name: String,
        /// What it may do.
        scopes: Vec<Permission>,
        /// Where the request came from.
        address: Option<String>,
    },
    /// Lightkeeper itself; the word says which part (`provisioning`, `autofind`, `demo`).
    System(&'static str),
}

impl Actor {
    /// `nino`, `key:billing`, `system:provisioning`.
    pub fn label(&self) -> String {
        match self {
            Actor::User { name, .. } => name.clone(),
            Actor::ApiKey { name, .. } => format!("key:{name}"),
            Actor::System(part) => format!("system:{part}"),
        }
    }

    /// Where the request came from, if it came over a network.
    pub fn address(&self) -> Option<&str> {
        match self {
            Actor::User { address, .. } | Actor::ApiKey { address, .. } => address.as_deref(),
            Actor::System(_) => None,
        }
    }

    /// True if this actor may do it.
    pub fn may(&self, permission: Permission) -> bool {
        match self {
            Actor::User { role, .. } => permission.granted_to(*role),
            Actor::ApiKey { scopes, .. } => scopes.contains(&permission),
            Actor::System(_) => true,
        }
    }

    /// The same as a result, for `?`.
    ///
    /// # Errors
    /// [`AppError::Forbidden`](crate::AppError::Forbidden) with who and what.
    pub fn require(&self, permission: Permission) -> Result<(), crate::AppError> {
        if self.may(permission) {
            return Ok(());
        }
        Err(crate::AppError::Forbidden(format!(
            "{} may not {} (needs the permission {}).",
            self.label(),
            permission.verb(),
            permission.as_str()
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrower_role_never_gains() {
        let count = |role: Role| Permission::ALL.iter().filter(|p| p.granted_to(role)).count();
        assert_eq!(count(Role::Admin), Permission::ALL.len());
        assert_eq!(count(Role::Viewer), 1);
        for permission in Permission::ALL {
            for role in Role::ALL {
                assert!(permission.granted_to(Role::Admin) || !permission.granted_to(*role));
            }
            assert_eq!(Permission::parse(permission.as_str()), Some(permission));
        }
        assert!(!Permission::WriteOlts.granted_to(Role::Support));
        assert!(!Permission::ManageUsers.granted_to(Role::Noc));
    }

    #[test]
    fn a_key_may_only_what_its_scopes_say() {
        let key = Actor::ApiKey {
            id: ApiKeyId(1),
            name: "x".into(),
            scopes: vec![Permission::Read],
            address: None,
        };
        assert!(key.require(Permission::Read).is_ok());
        let refusal = key.require(Permission::WriteOlts).expect_err("not in its scopes");
        assert_eq!(refusal.to_string(), "key:x may not change OLTs (needs the permission olts:write).");
    }
}
