//! `cargo xtask openapi`: the snapshot of the API description follows the code, on purpose and in plain sight.

use std::process::Command;

use anyhow::Result;

use crate::proc;

/// Rewrites the snapshot through the test that guards it, then shows what changed; true when the test ran.
pub(crate) fn run() -> Result<bool> {
    let root = proc::root()?;
    let mut command = proc::cargo(&root);
    command.args(["test", "--package", "lightkeeper-web", "openapi"]).env("UPDATE_GOLDEN", "1");
    if !proc::shown(&mut command)? {
        return Ok(false);
    }
    let mut diff = Command::new("git");
    diff.current_dir(&root).args(["--no-pager", "diff", "--stat", "-p", "--", "crates/web/tests/golden"]);
    let changed = proc::output_of(&mut diff).unwrap_or_default();
    if changed.is_empty() {
        println!("The snapshot already said what the code says.");
    } else {
        println!("{changed}\n\nRead it as a client would: what was removed or renamed breaks them.");
    }
    Ok(true)
}
