//! What each command does.

mod ont;
mod profile;
mod service;
mod session;
mod show;
mod show_ont;
mod show_profile;

use super::{
    commands::Cmd,
    grammar::Args,
    machine::{Ctx, Failure, failure},
    session::View,
};
use types::{PonPath, Serial};

/// Lines shown, or why not.
pub(crate) type Answer = Result<Vec<String>, Failure>;

pub(crate) fn dispatch(ctx: &mut Ctx<'_>, cmd: Cmd, args: &Args) -> Answer {
    match cmd {
        Cmd::Enable
        | Cmd::Disable
        | Cmd::Config
        | Cmd::Quit
        | Cmd::Return
        | Cmd::Scroll
        | Cmd::UndoScroll
        | Cmd::Smart
        | Cmd::UndoSmart
        | Cmd::Interactive
        | Cmd::UndoInteractive
        | Cmd::Infoswitch
        | Cmd::IdleTimeout
        | Cmd::UndoIdleTimeout
        | Cmd::MmiMode
        | Cmd::InterfaceGpon
        | Cmd::Save
        | Cmd::Sysname => session::run(ctx, cmd, args),
        Cmd::DisplayVersion
        | Cmd::DisplayBoards
        | Cmd::DisplayBoard
        | Cmd::DisplayTime
        | Cmd::DisplayServices
        | Cmd::DisplayVlans
        | Cmd::DisplayVlan
        | Cmd::DisplayServicePorts
        | Cmd::DisplayServicePort
        | Cmd::DisplayMac => show::run(ctx, cmd, args),
        Cmd::DisplayAutofind
        | Cmd::DisplayOntInfo
        | Cmd::DisplayOntList
        | Cmd::DisplayOntBySn
        | Cmd::DisplayOntSummary
        | Cmd::DisplayOptical
        | Cmd::DisplayOntVersion
        | Cmd::DisplayIpconfig
        | Cmd::DisplayWanInfo
        | Cmd::DisplayPortState
        | Cmd::DisplayTr069Config => show_ont::run(ctx, cmd, args),
        Cmd::DisplayTr069All
        | Cmd::DisplayTr069One
        | Cmd::DisplayTr069Bound
        | Cmd::DisplayLineProfiles
        | Cmd::DisplayLineProfile
        | Cmd::DisplaySrvProfiles
        | Cmd::DisplaySrvProfile
        | Cmd::DisplayDba
        | Cmd::DisplayTraffic
        | Cmd::DisplayOntConfig
        | Cmd::DisplayConfig => show_profile::run(ctx, cmd, args),
        Cmd::OntAdd
        | Cmd::OntConfirm
        | Cmd::OntDelete
        | Cmd::OntModify
        | Cmd::OntActivate
        | Cmd::OntDeactivate
        | Cmd::OntReset
        | Cmd::OntReRegister
        | Cmd::OntNativeVlan
        | Cmd::OntIpconfig
        | Cmd::OntIpconfigPppoe
        | Cmd::UndoOntIpconfig
        | Cmd::OntInternetConfig
        | Cmd::OntTr069
        | Cmd::UndoOntTr069
        | Cmd::PortAutofind
        | Cmd::Shutdown
        | Cmd::UndoShutdown => ont::run(ctx, cmd, args),
        Cmd::ServicePort
        | Cmd::ServicePortRate
        | Cmd::UndoServicePort
        | Cmd::UndoServicePortRange
        | Cmd::VlanAdd
        | Cmd::UndoVlan
        | Cmd::VlanDesc
        | Cmd::PortVlan => service::run(ctx, cmd, args),
        Cmd::DbaAdd
        | Cmd::TrafficAdd
        | Cmd::UndoTraffic
        | Cmd::Tr069Add
        | Cmd::Tr069Modify
        | Cmd::UndoTr069
        | Cmd::LineProfile
        | Cmd::UndoLineProfile
        | Cmd::SrvProfile
        | Cmd::UndoSrvProfile
        | Cmd::Tcont
        | Cmd::GemAdd
        | Cmd::UndoGem
        | Cmd::GemMapping
        | Cmd::Tr069Management
        | Cmd::Tr069IpIndex
        | Cmd::OntPort
        | Cmd::Commit => profile::run(ctx, cmd, args),
    }
}

/// The PON port a command names: by frame/slot/port in one word, in three, or by the port alone inside
/// `interface gpon`.
fn port_of(ctx: &Ctx<'_>, args: &Args) -> Result<PonPath, Failure> {
    let pon = if let Some(pon) = args.parsed::<PonPath>("fsp") {
        Some(pon)
    } else if let (Some(slot), Some(port)) = (args.number("s"), args.number("p")) {
        Some(PonPath { frame: 0, slot, port })
    } else if let (View::Gpon { slot }, Some(port)) = (ctx.session.view, args.number("p")) {
        Some(PonPath { frame: 0, slot, port })
    } else {
        None
    };
    match pon {
        Some(pon) if ctx.olt.state.has_port(pon) => Ok(pon),
        _ => failure("The port does not exist"),
    }
}

/// A registered ONT a command names.
fn ont_of(ctx: &Ctx<'_>, args: &Args) -> Result<(PonPath, u8, Serial), Failure> {
    let pon = port_of(ctx, args)?;
    let id: u8 = args.number("o").unwrap_or(u8::MAX);
    match ctx.olt.state.config.ont(pon, id) {
        Some(ont) => Ok((pon, id, ont.serial)),
        None => failure("The ONT does not exist"),
    }
}
