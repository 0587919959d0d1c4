//! The command set: pattern, views it exists in, what the CR prompt offers, and what it does.

use super::grammar::{Args, Best, Pattern, SyntaxError, tokenise};
use super::session::View;
use std::sync::LazyLock;

/// What a line asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Cmd {
    // session
    Enable,
    Disable,
    Config,
    Quit,
    Return,
    Scroll,
    UndoScroll,
    Smart,
    UndoSmart,
    Interactive,
    UndoInteractive,
    Infoswitch,
    IdleTimeout,
    UndoIdleTimeout,
    MmiMode,
    InterfaceGpon,
    Save,
    // showing
    DisplayVersion,
    DisplayBoards,
    DisplayBoard,
    DisplayTime,
    DisplayServices,
    DisplayAutofind,
    DisplayOntInfo,
    DisplayOntList,
    DisplayOntBySn,
    DisplayOntSummary,
    DisplayOptical,
    DisplayOntVersion,
    DisplayIpconfig,
    DisplayWanInfo,
    DisplayPortState,
    DisplayMac,
    DisplayTr069All,
    DisplayTr069One,
    DisplayTr069Bound,
    DisplayTr069Config,
    DisplayLineProfiles,
    DisplayLineProfile,
    DisplaySrvProfiles,
    DisplaySrvProfile,
    DisplayDba,
    DisplayTraffic,
    DisplayVlans,
    DisplayVlan,
    DisplayServicePorts,
    DisplayServicePort,
    DisplayOntConfig,
    DisplayConfig,
    // ONTs
    OntAdd,
    OntConfirm,
    OntDelete,
    OntModify,
    OntActivate,
    OntDeactivate,
    OntReset,
    OntReRegister,
    OntNativeVlan,
    OntIpconfig,
    OntIpconfigPppoe,
    UndoOntIpconfig,
    OntInternetConfig,
    OntTr069,
    UndoOntTr069,
    PortAutofind,
    Shutdown,
    UndoShutdown,
    // service ports
    ServicePort,
    ServicePortRate,
    UndoServicePort,
    UndoServicePortRange,
    // profiles and the box
    Sysname,
    VlanAdd,
    UndoVlan,
    VlanDesc,
    PortVlan,
    DbaAdd,
    TrafficAdd,
    UndoTraffic,
    Tr069Add,
    Tr069Modify,
    UndoTr069,
    LineProfile,
    UndoLineProfile,
    SrvProfile,
    UndoSrvProfile,
    Tcont,
    GemAdd,
    UndoGem,
    GemMapping,
    Tr069Management,
    Tr069IpIndex,
    OntPort,
    Commit,
}

const U: u8 = 1;
const E: u8 = 2;
const C: u8 = 4;
const G: u8 = 8;
const L: u8 = 16;
const S: u8 = 32;
/// Everywhere but the user view.
const D: u8 = E | C | G | L | S;
const ALL: u8 = U | D;

fn bit(view: View) -> u8 {
    match view {
        View::User => U,
        View::Enable => E,
        View::Config => C,
        View::Gpon { .. } => G,
        View::LineProfile { .. } => L,
        View::SrvProfile { .. } => S,
    }
}

/// A command of the table.
pub(crate) struct Command {
    pub(crate) cmd: Cmd,
    views: u8,
    pattern: Pattern,
    /// What the CR prompt offers besides `<cr>`; empty = no prompt.
    pub(crate) cr: &'static str,
}

/// Views, pattern, CR prompt, meaning.
const TABLE: &[(u8, &str, &str, Cmd)] = &[
    (U, "enable", "", Cmd::Enable),
    (E, "disable", "", Cmd::Disable),
    (E, "config", "", Cmd::Config),
    (ALL, "quit", "", Cmd::Quit),
    (D, "return", "", Cmd::Return),
    (ALL, "scroll", "number<U><1,512>", Cmd::Scroll),
    (ALL, "scroll <n:1-512>", "", Cmd::Scroll),
    (ALL, "undo scroll", "", Cmd::UndoScroll),
    (ALL, "smart", "", Cmd::Smart),
    (ALL, "undo smart", "", Cmd::UndoSmart),
    (ALL, "interactive", "", Cmd::Interactive),
    (ALL, "undo interactive", "", Cmd::UndoInteractive),
    (E | C | G, "infoswitch cli <state:{on,off}>", "", Cmd::Infoswitch),
    (E | C, "idle-timeout <n:0-255>", "", Cmd::IdleTimeout),
    (E | C, "undo idle-timeout", "", Cmd::UndoIdleTimeout),
    (E | C, "mmi-mode <mode:{enable,disable,original-output}>", "", Cmd::MmiMode),
    (C, "interface gpon <fs:fs>", "", Cmd::InterfaceGpon),
    (E | C, "save", "configuration<K>|data<K>", Cmd::Save),
    (E | C, "save ( configuration | data )", "", Cmd::Save),
    (ALL, "display version", "backplane<K>|frameid/slotid<S><Length 1-15>", Cmd::DisplayVersion),
    (D, "display board <f:0-0>", "|<K>", Cmd::DisplayBoards),
    (D, "display board <fs:fs>", "|<K>", Cmd::DisplayBoard),
    (D, "display time", "date-format<K>|dst<K>|time-stamp<K>", Cmd::DisplayTime),
    (D, "display sysman service state", "", Cmd::DisplayServices),
    (E | C | G, "display ont autofind all", "|<K>", Cmd::DisplayAutofind),
    (G, "display ont autofind <p:port>", "|<K>", Cmd::DisplayAutofind),
    (E | C | G, "display ont info by-sn <sn:sn>", "|<K>", Cmd::DisplayOntBySn),
    (E | C, "display ont info summary <fsp:fsp>", "|<K>", Cmd::DisplayOntSummary),
    (G, "display ont info summary <p:port>", "|<K>", Cmd::DisplayOntSummary),
    (E | C, "display ont info <f:0-0> <s:slot> <p:port> <o:ont>", "|<K>", Cmd::DisplayOntInfo),
    (E | C, "display ont info <f:0-0> [ <s:slot> ] [ <p:port> ] all", "|<K>", Cmd::DisplayOntList),
    (G, "display ont info <p:port> all", "|<K>", Cmd::DisplayOntList),
    (G, "display ont info <p:port> <o:ont>", "|<K>", Cmd::DisplayOntInfo),
    (G, "display ont optical-info <p:port> ( all | <o:ont> )", "|<K>", Cmd::DisplayOptical),
    (E | C, "display ont version <f:0-0> <s:slot> <p:port> <o:ont>", "|<K>", Cmd::DisplayOntVersion),
    (G, "display ont version <p:port> <o:ont>", "|<K>", Cmd::DisplayOntVersion),
    (G, "display ont ipconfig <p:port> <o:ont>", "|<K>", Cmd::DisplayIpconfig),
    (E | C, "display ont wan-info <f:0-0> <s:slot> <p:port> <o:ont>", "|<K>", Cmd::DisplayWanInfo),
    (G, "display ont wan-info <p:port> <o:ont>", "|<K>", Cmd::DisplayWanInfo),
    (G, "display ont port state <p:port> <o:ont> eth-port all", "", Cmd::DisplayPortState),
    (E | C | G, "display mac-address ont <fsp:fsp> <o:ont>", "", Cmd::DisplayMac),
    (D, "display ont tr069-server-profile all", "", Cmd::DisplayTr069All),
    (D, "display ont tr069-server-profile profile-id <n:0-256>", "", Cmd::DisplayTr069One),
    (D, "display ont tr069-server-profile bound-info profile-id <n:0-256>", "", Cmd::DisplayTr069Bound),
    (G, "display ont tr069-server-config <p:port> ( all | <o:ont> )", "", Cmd::DisplayTr069Config),
    (D, "display ont-lineprofile gpon all", "|<K>", Cmd::DisplayLineProfiles),
    (
        D,
        "display ont-lineprofile gpon ( profile-id <n:0-8192> | profile-name <name:text> )",
        "|<K>",
        Cmd::DisplayLineProfile,
    ),
    (D, "display ont-srvprofile gpon all", "|<K>", Cmd::DisplaySrvProfiles),
    (
        D,
        "display ont-srvprofile gpon ( profile-id <n:0-8192> | profile-name <name:text> )",
        "|<K>",
        Cmd::DisplaySrvProfile,
    ),
    (D, "display dba-profile ( all | profile-id <n:0-512> )", "", Cmd::DisplayDba),
    (D, "display traffic table ip ( from-index <from:0-1023> | index <n:0-1023> )", "", Cmd::DisplayTraffic),
    (D, "display vlan all", "vlanattr<K>|vlantype<E><mux,standard,smart>", Cmd::DisplayVlans),
    (D, "display vlan <v:vlan>", "to<K>", Cmd::DisplayVlan),
    (E | C | G, "display service-port all", "sort-by<K>", Cmd::DisplayServicePorts),
    (
        E | C | G,
        "display service-port port <fsp:fsp> [ ont <o:ont> [ gemport <g:0-1023> ] ]",
        "gemport<K>|sort-by<K>",
        Cmd::DisplayServicePorts,
    ),
    (E | C | G, "display service-port vlan <v:vlan>", "sort-by<K>", Cmd::DisplayServicePorts),
    (E | C | G, "display service-port <i:0-131071>", "", Cmd::DisplayServicePort),
    (E | C | G, "display current-configuration ont <fsp:fsp> <o:ont>", "", Cmd::DisplayOntConfig),
    (E | C | G, "display current-configuration", "ont<K>|port<K>|section<K>", Cmd::DisplayConfig),
    (
        G,
        "ont add <p:port> [ <o:ont> ] sn-auth <sn:sn> omci \
         ( ont-lineprofile-id <lp:0-8192> | ont-lineprofile-name <lpn:text> ) \
         ( ont-srvprofile-id <sp:0-8192> | ont-srvprofile-name <spn:text> ) [ desc <desc:text> ]",
        "ont-type<K>",
        Cmd::OntAdd,
    ),
    (
        G,
        "ont confirm <p:port> [ ontid <o:ont> ] sn-auth <sn:sn> omci \
         ( ont-lineprofile-id <lp:0-8192> | ont-lineprofile-name <lpn:text> ) \
         ( ont-srvprofile-id <sp:0-8192> | ont-srvprofile-name <spn:text> ) [ desc <desc:text> ]",
        "ont-type<K>",
        Cmd::OntConfirm,
    ),
    (G, "ont delete <p:port> <o:ont>", "", Cmd::OntDelete),
    (
        G,
        "ont modify <p:port> <o:ont> [ ont-lineprofile-id <lp:0-8192> ] [ ont-srvprofile-id <sp:0-8192> ] \
         [ desc <desc:text> ]",
        "",
        Cmd::OntModify,
    ),
    (G, "ont activate <p:port> <o:ont>", "", Cmd::OntActivate),
    (G, "ont deactivate <p:port> <o:ont>", "", Cmd::OntDeactivate),
    (G, "ont reset <p:port> <o:ont>", "", Cmd::OntReset),
    (G, "ont re-register <p:port> <o:ont>", "", Cmd::OntReRegister),
    (
        G,
        "ont port native-vlan <p:port> <o:ont> eth <n:1-8> vlan <v:vlan> [ priority <pr:0-7> ]",
        "",
        Cmd::OntNativeVlan,
    ),
    (
        G,
        "ont ipconfig <p:port> <o:ont> [ ip-index <i:0-3> ] \
         ( dhcp | static ip-address <ip:ip> mask <mask:ip> [ gateway <gw:ip> ] [ pri-dns <d1:ip> ] \
         [ slave-dns <d2:ip> ] ) vlan <v:vlan> [ priority <pr:0-7> ]",
        "",
        Cmd::OntIpconfig,
    ),
    (
        G,
        "ont ipconfig <p:port> <o:ont> [ ip-index <i:0-3> ] pppoe vlan <v:vlan> [ priority <pr:0-7> ] \
         user-account username <user:text> password <pw:text>",
        "",
        Cmd::OntIpconfigPppoe,
    ),
    (G, "undo ont ipconfig <p:port> <o:ont> [ ip-index <i:0-3> ]", "", Cmd::UndoOntIpconfig),
    (G, "ont internet-config <p:port> <o:ont> ip-index <i:0-3>", "", Cmd::OntInternetConfig),
    (G, "ont wan-config <p:port> <o:ont> ip-index <i:0-3> profile-id <n:0-8192>", "", Cmd::OntInternetConfig),
    (G, "ont tr069-server-config <p:port> <o:ont> profile-id <n:0-256>", "", Cmd::OntTr069),
    (G, "undo ont tr069-server-config <p:port> <o:ont>", "", Cmd::UndoOntTr069),
    (G, "port <p:port> ont-auto-find <state:{enable,disable}>", "", Cmd::PortAutofind),
    (G, "shutdown <p:port>", "", Cmd::Shutdown),
    (G, "undo shutdown <p:port>", "", Cmd::UndoShutdown),
    (
        C,
        "service-port [ <i:0-131071> ] vlan <v:vlan> gpon <fsp:fsp> ont <o:ont> gemport <g:0-1023> \
         [ multi-service user-vlan ( <uv:vlan> | <ut:{untagged}> ) \
         [ tag-transform <tt:{translate,transparent,default,add-double,translate-and-add}> ] ] \
         [ inbound traffic-table index <rx:0-1023> ] [ outbound traffic-table index <tx:0-1023> ] \
         [ rx-cttr <rx:0-1023> ] [ tx-cttr <tx:0-1023> ]",
        "inbound<K>|multi-service<K>|rx-cttr<K>",
        Cmd::ServicePort,
    ),
    (
        C,
        "service-port <i:0-131071> inbound traffic-table index <rx:0-1023> \
         [ outbound traffic-table index <tx:0-1023> ]",
        "",
        Cmd::ServicePortRate,
    ),
    (C, "undo service-port <i:0-131071>", "", Cmd::UndoServicePort),
    (
        C,
        "undo service-port port <fsp:fsp> [ ont <o:ont> [ gemport <g:0-1023> ] ]",
        "",
        Cmd::UndoServicePortRange,
    ),
    (
        C,
        "undo service-port vlan <v:vlan> [ gpon <fsp:fsp> [ ont <o:ont> [ gemport <g:0-1023> ] ] ]",
        "",
        Cmd::UndoServicePortRange,
    ),
    (E | C, "sysname <name:text>", "", Cmd::Sysname),
    (
        C,
        "vlan <v:vlan> [ to <to:vlan> ] [ <kind:{smart,standard,mux}> ]",
        "to<K>|vlantype<E><mux,standard,smart>",
        Cmd::VlanAdd,
    ),
    (C, "undo vlan <v:vlan>", "to<K>", Cmd::UndoVlan),
    (C, "vlan desc <v:vlan> description <text:text>", "", Cmd::VlanDesc),
    (C, "port vlan <v:vlan> <fs:fs> <p:port>", "", Cmd::PortVlan),
    (
        C,
        "dba-profile add [ profile-id <n:0-512> ] [ profile-name <name:text> ] \
         ( type1 fix <fix:64-10000000> | type2 assure <assure:64-10000000> \
         | type3 assure <assure:64-10000000> max <max:64-10000000> | type4 max <max:64-10000000> )",
        "",
        Cmd::DbaAdd,
    ),
    (
        C,
        "traffic table ip [ index <n:0-1023> ] [ name <name:text> ] cir ( off | <cir:64-10240000> ) \
         [ cbs <cbs:64-2147483647> ] [ pir <pir:64-10240000> ] [ pbs <pbs:64-2147483647> ] priority <pr:0-7> \
         [ priority-policy <pp:{local-setting,tag-in-package}> ]",
        "",
        Cmd::TrafficAdd,
    ),
    (C, "undo traffic table ip index <n:0-1023>", "", Cmd::UndoTraffic),
    (
        C,
        "ont tr069-server-profile add [ profile-id <n:1-256> ] [ profile-name <name:text> ] url <url:url> \
         [ user <user:text> <pw:text> ]",
        "user<K>",
        Cmd::Tr069Add,
    ),
    (
        C,
        "ont tr069-server-profile modify profile-id <n:1-256> [ url <url:url> ] [ user <user:text> <pw:text> ]",
        "",
        Cmd::Tr069Modify,
    ),
    (
        C,
        "undo ont tr069-server-profile ( profile-id <n:1-256> | delete profile-id <n:1-256> )",
        "",
        Cmd::UndoTr069,
    ),
    (C, "ont-lineprofile gpon profile-id <n:0-8192> [ profile-name <name:text> ]", "", Cmd::LineProfile),
    (C, "undo ont-lineprofile gpon profile-id <n:0-8192>", "", Cmd::UndoLineProfile),
    (C, "ont-srvprofile gpon profile-id <n:0-8192> [ profile-name <name:text> ]", "", Cmd::SrvProfile),
    (C, "undo ont-srvprofile gpon profile-id <n:0-8192>", "", Cmd::UndoSrvProfile),
    (L, "tcont <t:0-7> dba-profile-id <d:0-512>", "", Cmd::Tcont),
    (L, "gem add <g:0-1023> eth tcont <t:0-7>", "cascade<K>|encrypt<K>|priority-queue<K>", Cmd::GemAdd),
    (L, "undo gem <g:0-1023>", "", Cmd::UndoGem),
    (
        L,
        "gem mapping <g:0-1023> <m:0-7> vlan <v:vlan>",
        "car<K>|flow-car<K>|priority<K>|transparent<K>",
        Cmd::GemMapping,
    ),
    (L, "tr069-management <state:{enable,disable}>", "", Cmd::Tr069Management),
    (L, "tr069-management ip-index <i:0-3>", "", Cmd::Tr069IpIndex),
    (
        S,
        "ont-port [ eth ( adaptive | <eth:0-8> ) ] [ pots ( adaptive | <pots:0-8> ) ]",
        "catv<K>|eth<K>|moca<K>|pots<K>|tdm<K>",
        Cmd::OntPort,
    ),
    (L | S, "commit", "", Cmd::Commit),
];

static COMMANDS: LazyLock<Vec<Command>> = LazyLock::new(|| {
    TABLE
        .iter()
        .map(|(views, pattern, cr, cmd)| Command {
            cmd: *cmd,
            views: *views,
            pattern: Pattern::new(pattern),
            cr,
        })
        .collect()
});

/// The command a line is in a view: of all that fit, the one with the most words typed in full.
pub(crate) fn recognise(view: View, line: &str) -> Result<(&'static Command, Args), SyntaxError> {
    let tokens = tokenise(line);
    let mut best = Best::default();
    let mut found: Option<(&'static Command, Args, usize)> = None;
    for command in COMMANDS.iter().filter(|command| command.views & bit(view) != 0) {
        if let Some((args, weight)) = command.pattern.matches(&tokens, &mut best)
            && found.as_ref().is_none_or(|(_, _, w)| weight > *w)
        {
            found = Some((command, args, weight));
        }
    }
    match found {
        Some((command, args, _)) => Ok((command, args)),
        None => Err(best.into_error(&tokens, line)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        assert_eq!(COMMANDS.len(), TABLE.len());
    }

    #[test]
    fn forms_depend_on_the_view() {
        let gpon = View::Gpon { slot: 1 };
        let cmd = |view, line| recognise(view, line).map(|(c, _)| c.cmd);
        assert_eq!(cmd(View::Config, "display ont info 0 1 6 all"), Ok(Cmd::DisplayOntList));
        assert_eq!(cmd(gpon, "display ont info 6 all"), Ok(Cmd::DisplayOntList));
        assert_eq!(cmd(View::Config, "display ont info 6 all"), Err(SyntaxError::Parameter { column: 17 }));
        assert!(cmd(gpon, "display ont info 0 1 6 all").is_err());
        assert_eq!(cmd(View::Config, "screen-length 0 temporary"), Err(SyntaxError::Unknown { column: 0 }));
        assert!(matches!(cmd(View::Config, "ont add 1"), Err(SyntaxError::Unknown { .. })));
    }
}
