//! What the service should be, per layer. Owned by the service, not by the device: a replaced ONU inherits it.

use crate::Layer;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use types::Secret;

/// All layers of one service. Serialises with its secrets in the clear: only ever inside something sealed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Intents {
    /// Counts every change of any layer.
    pub version: u64,
    /// WAN towards the internet.
    pub internet: Option<InternetIntent>,
    /// Wi-Fi and LAN.
    pub access: Option<AccessIntent>,
}

impl Intents {
    /// The layers that have an intent, in the order they are applied.
    pub fn layers(&self) -> Vec<Layer> {
        let mut layers = Vec::new();
        if self.internet.is_some() {
            layers.push(Layer::Internet);
        }
        if self.access.is_some() {
            layers.push(Layer::Access);
        }
        layers
    }

    /// Fingerprint of one layer's intent, secrets included, under `key`: equal intents have equal hashes, and
    /// without the key nothing can be guessed back from it.
    pub fn layer_hash(&self, layer: Layer, key: &Secret) -> Option<String> {
        let body = match layer {
            Layer::Internet => serde_json::to_vec(self.internet.as_ref()?),
            Layer::Access => serde_json::to_vec(self.access.as_ref()?),
            Layer::Core | Layer::Extras => return None,
        };
        // Serialising plain structs cannot fail; an empty body would only make the layer look changed.
        Some(fingerprint(key, layer.as_str(), &body.unwrap_or_default()))
    }
}

/// What a service is to be now, by fingerprint: what an event says, and what a device was last told. The same wish told
/// again is no news.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// [`Intents::version`].
    pub version: u64,
    /// [`Intents::layer_hash`] of every layer that has an intent.
    pub layers: BTreeMap<Layer, String>,
}

impl Wish {
    /// The wish that these intents are; `None` = nothing is wanted.
    pub fn of(intents: Option<&Intents>, key: &Secret) -> Wish {
        let Some(intents) = intents else { return Wish::default() };
        let layers = intents.layers().into_iter();
        let layers = layers.filter_map(|layer| Some((layer, intents.layer_hash(layer, key)?))).collect();
        Wish { version: intents.version, layers }
    }
}

/// By what one secret is told from another without either: what it is for, and a keyed fingerprint of both.
pub fn secret_fingerprint(key: &Secret, purpose: &str, secret: &Secret) -> String {
    fingerprint(key, purpose, secret.expose().as_bytes())
}

/// A keyed one-way fingerprint (nested SHA-256, as HMAC does), 32 hex digits.
pub(crate) fn fingerprint(key: &Secret, domain: &str, body: &[u8]) -> String {
    let inner =
        Sha256::new().chain_update(key.expose()).chain_update([0]).chain_update(domain).chain_update([0]);
    let inner = inner.chain_update(body).finalize();
    let outer = Sha256::new().chain_update(key.expose()).chain_update([1]).chain_update(inner).finalize();
    hex::encode(&outer[..16])
}

/// The internet WAN.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InternetIntent {
    /// How the address is obtained.
    #[serde(flatten)]
    pub mode: InternetMode,
    /// 802.1Q VLAN 1–4094; `None` = untagged or left to the OLT.
    #[serde(default)]
    pub vlan: Option<u16>,
    /// 802.1p priority 0–7.
    #[serde(default)]
    pub priority: Option<u8>,
    /// Translate addresses of the LAN.
    #[serde(default = "yes")]
    pub nat: bool,
    /// IPv6 beside IPv4.
    #[serde(default)]
    pub ipv6: Ipv6Mode,
    /// LAN ports and SSIDs that use this WAN; empty = every port and SSID the device has.
    #[serde(default)]
    pub bind: Vec<LanPort>,
    /// Also keep the vendor's policy-route row for the binding (Huawei `X_HW_policy_route`).
    #[serde(default)]
    pub policy_routes: bool,
    /// Suspended service: the WAN stays, disabled; its routes are cleared.
    #[serde(default)]
    pub suspended: bool,
    /// Largest packet in octets; `None` = leave as it is.
    #[serde(default)]
    pub mtu: Option<u16>,
}

fn yes() -> bool {
    true
}

/// How the WAN gets its address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case")]
pub enum InternetMode {
    /// PPP over Ethernet.
    Pppoe {
        /// Login at the BRAS.
        username: String,
        /// Its password.
        password: Secret,
    },
    /// Address by DHCP.
    Dhcp,
    /// Fixed address.
    Static {
        /// IPv4 address.
        address: String,
        /// Subnet mask.
        mask: String,
        /// Default gateway.
        gateway: String,
        /// Name servers.
        dns: Vec<String>,
    },
    /// The CPE bridges; a router behind it dials.
    Bridge,
}

impl InternetMode {
    /// The word used in profiles and sentences.
    pub fn as_str(&self) -> &'static str {
        match self {
            InternetMode::Pppoe { .. } => "pppoe",
            InternetMode::Dhcp => "dhcp",
            InternetMode::Static { .. } => "static",
            InternetMode::Bridge => "bridge",
        }
    }
}

/// IPv6 on the internet WAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ipv6Mode {
    /// IPv4 only.
    #[default]
    Off,
    /// Dual stack.
    On,
}

/// A user-side port of the CPE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LanPort {
    /// Ethernet port, from 1.
    Lan(u8),
    /// SSID, from 1.
    Ssid(u8),
}

/// Wi-Fi and LAN.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AccessIntent {
    /// One per band at most.
    pub wifi: Vec<WifiIntent>,
    /// `None` = leave the LAN as it is.
    pub lan: Option<LanIntent>,
}

/// Radio band.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Band {
    /// 2.4 GHz.
    #[serde(rename = "2.4GHz")]
    Ghz2_4,
    /// 5 GHz.
    #[serde(rename = "5GHz")]
    Ghz5,
}

impl Band {
    /// `2.4GHz`, `5GHz`: also what profiles call it.
    pub fn as_str(self) -> &'static str {
        match self {
            Band::Ghz2_4 => "2.4GHz",
            Band::Ghz5 => "5GHz",
        }
    }
}

/// Security of an SSID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WifiSecurity {
    /// No encryption.
    Open,
    /// WPA2 personal.
    #[default]
    Wpa2,
    /// WPA and WPA2 personal.
    Mixed,
}

impl WifiSecurity {
    /// The word used in profiles.
    pub fn as_str(self) -> &'static str {
        match self {
            WifiSecurity::Open => "open",
            WifiSecurity::Wpa2 => "wpa2",
            WifiSecurity::Mixed => "mixed",
        }
    }
}

/// The main SSID of one band.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WifiIntent {
    /// Which radio.
    pub band: Band,
    /// Radio and SSID on.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Network name, 1–32 octets.
    pub ssid: String,
    /// 8–63 ASCII characters; empty with [`WifiSecurity::Open`].
    #[serde(default)]
    pub passphrase: Secret,
    /// How it is protected.
    #[serde(default)]
    pub security: WifiSecurity,
}

/// The LAN side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LanIntent {
    /// Address of the CPE on the LAN.
    pub address: String,
    /// Subnet mask.
    pub mask: String,
    /// DHCP server on.
    #[serde(default = "yes")]
    pub dhcp: bool,
    /// First address handed out.
    pub dhcp_first: String,
    /// Last address handed out.
    pub dhcp_last: String,
}
