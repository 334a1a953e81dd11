//! `sudare consent`: what the organisation tells, and whether it was accepted on this device.

use std::io::{self, BufRead as _, IsTerminal as _};

use clap::Args;
use sudare_client_runtime::membership::Membership;
use sudare_client_runtime::operator;
use sudare_protocol::hex::hex;
use sudare_protocol::notice::Notice;

use crate::output;

/// Read the notice of your organisation, and accept it
///
/// Nothing looks before it was accepted. A new version is asked about again; the desktop stays covered until then.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudare consent               read and accept what is new
  sudare consent --accept      the same without being asked")]
pub(crate) struct Arguments {
    /// Accept without being asked, after you have read it
    #[arg(long)]
    accept: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let membership = Membership::at(&operator::device_dir()?);
    let pending = membership.pending();
    if pending.is_empty() {
        output::line("新しいお知らせはありません。 / There is nothing new to accept.");
    }
    pending.iter().try_for_each(|notice| ask(&membership, notice, arguments.accept))
}

/// Shows a notice, and has it accepted.
pub(crate) fn ask(membership: &Membership, notice: &Notice, accept: bool) -> anyhow::Result<()> {
    show(notice);
    if !accept {
        anyhow::ensure!(
            io::stdin().is_terminal(),
            "the notice was not accepted. Read it, and add --accept / お知らせに同意されていません。お読みのうえ --accept を付けてください"
        );
        output::note("同意しますか / Do you accept? [y/N]");
        let answer = io::stdin().lock().lines().next().transpose()?.unwrap_or_default();
        anyhow::ensure!(
            matches!(answer.trim().to_lowercase().as_str(), "y" | "yes" | "はい"),
            "the notice was not accepted, so nothing was enrolled and nothing looks. Your alternative: {}",
            notice.alternative.english
        );
    }
    membership.told(notice)?;
    membership.accept(notice)?;
    Ok(())
}

fn show(notice: &Notice) {
    let names = [
        "責任者 / Owner",
        "連絡先 / Contact",
        "目的 / Purpose",
        "保存 / Retention",
        "代替手段 / Alternative",
    ];
    output::line(&format!("お知らせ 第{0}版 / Notice, version {0}", notice.version));
    for (name, (_, words)) in names.iter().zip(notice.parts()) {
        output::line(&format!("{name}:"));
        for text in [&words.japanese, &words.english] {
            text.lines().for_each(|line| output::line(&format!("  {line}")));
        }
    }
    output::line(&format!("SHA-256: {}", hex(&notice.digest())));
}
