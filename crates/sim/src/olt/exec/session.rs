//! Moving between views, switches of the session, saving.

use super::Answer;
use crate::olt::{
    commands::Cmd,
    grammar::Args,
    machine::{Ctx, failure},
    plant::later,
    record::Effect,
    session::View,
};

/// Longest page `scroll` can set: longer answers are paged even then.
const MAX_SCROLL: usize = 512;

pub(super) fn run(ctx: &mut Ctx<'_>, cmd: Cmd, args: &Args) -> Answer {
    match cmd {
        Cmd::Enable => ctx.session.view = View::Enable,
        Cmd::Disable => ctx.session.view = View::User,
        Cmd::Config => ctx.session.view = View::Config,
        Cmd::Return => ctx.session.view = View::Enable,
        Cmd::Quit => match ctx.session.view {
            // Only reached without questions (`undo interactive`).
            View::User | View::Enable => {
                ctx.close = true;
                return Ok(vec![
                    String::new(),
                    "  Configuration console exit, please retry to log on".to_owned(),
                ]);
            }
            View::Config => ctx.session.view = View::Enable,
            View::Gpon { .. } | View::LineProfile { .. } | View::SrvProfile { .. } => {
                ctx.session.view = View::Config;
            }
        },
        // Bare `scroll` is what working automation sends to be rid of the pager.
        Cmd::Scroll => ctx.session.page_rows = args.number("n").unwrap_or(MAX_SCROLL),
        Cmd::UndoScroll => ctx.session.page_rows = ctx.olt.spec.quirks.page_rows,
        Cmd::Smart => {
            ctx.set_smart(true);
            return Ok(vec!["  Interactive function is enabled".to_owned()]);
        }
        Cmd::UndoSmart => {
            ctx.set_smart(false);
            return Ok(vec!["  Interactive function is disabled".to_owned()]);
        }
        Cmd::Interactive => ctx.set_interactive(true),
        Cmd::UndoInteractive => ctx.set_interactive(false),
        Cmd::MmiMode => ctx.set_smart(args.text("mode") == Some("disable")),
        Cmd::Infoswitch => ctx.session.alarms = args.text("state") == Some("on"),
        Cmd::IdleTimeout => {
            ctx.session.idle_timeout_s = args.number::<u64>("n").filter(|n| *n > 0).map(|n| n * 60);
        }
        Cmd::UndoIdleTimeout => ctx.session.idle_timeout_s = None,
        Cmd::InterfaceGpon => return interface(ctx, args),
        Cmd::Save => return save(ctx),
        Cmd::Sysname => {
            let name = args.text("name").unwrap_or_default();
            if name.is_empty() || name.contains(|c: char| c.is_whitespace() || "()#>".contains(c)) {
                return failure("The host name is invalid");
            }
            name.clone_into(&mut ctx.olt.state.config.sysname);
            ctx.effects.push(Effect::ConfigChanged { what: "sysname".to_owned() });
        }
        other => unreachable!("{other:?} is no session command"),
    }
    Ok(Vec::new())
}

fn interface(ctx: &mut Ctx<'_>, args: &Args) -> Answer {
    let mut parts = args.text("fs").unwrap_or_default().split('/').map(|p| p.parse::<u8>().ok());
    let (frame, slot) = (parts.next().flatten(), parts.next().flatten());
    match (frame, slot) {
        (Some(0), Some(slot)) if ctx.olt.state.boards.get(&slot).is_some_and(|b| b.pon_ports > 0) => {
            ctx.session.view = View::Gpon { slot };
            Ok(Vec::new())
        }
        (Some(0), Some(slot)) if ctx.olt.state.boards.contains_key(&slot) => {
            failure("The board does not support the interface")
        }
        _ => failure("The board does not exist"),
    }
}

fn save(ctx: &mut Ctx<'_>) -> Answer {
    let state = &mut ctx.olt.state;
    if state.saving_until.is_some() {
        return failure("System is busy, please retry after a while");
    }
    state.saving_until = Some(later(ctx.now, ctx.olt.spec.timing.save_ms));
    state.saving_for = Some(ctx.session.id);
    ctx.effects.push(Effect::SaveStarted);
    Ok(vec!["  It will take several minutes to save configuration file, please wait...".to_owned()])
}
