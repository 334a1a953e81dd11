//! `sudare consent`: what the organisation tells, whether it was accepted on this device, and how that is taken back.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::Path;

use clap::Args;
use sudare_client_runtime::membership::Membership;
use sudare_client_runtime::{clock, device, hosts, operator};
use sudare_headless::pairing;
use sudare_protocol::SigningKey;
use sudare_protocol::hex::hex;
use sudare_protocol::notice::Notice;

use crate::{output, pair};

/// Read the notice of your organisation, and accept it or take that back
///
/// Nothing looks before it was accepted. A new version is asked about again; the desktop stays covered until then.
///
/// With --withdraw nothing looks any more from that moment on. Your looks become useless, because the secret that turns
/// them is deleted here; each host that this PC is paired with erases its copy and signs a receipt, and its log keeps what
/// you signed. The notice says what remains for you.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudare consent               read and accept what is new
  sudare consent --accept      the same without being asked
  sudare consent --withdraw    take it back; again, for hosts that could not be reached")]
pub(crate) struct Arguments {
    /// Accept without being asked, after you have read it
    #[arg(long)]
    accept: bool,
    /// Take back what was accepted on this PC
    #[arg(long, conflicts_with = "accept")]
    withdraw: bool,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let home = operator::device_dir()?;
    let membership = Membership::at(&home);
    if arguments.withdraw {
        return withdraw(&home, &membership);
    }
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

/// Counts at once here, and is told to every host.
fn withdraw(home: &Path, membership: &Membership) -> anyhow::Result<()> {
    let key = device::device_key(home)?;
    membership.withdraw(&key, clock::wall_ms())?;
    output::line("同意を撤回しました。この PC では、今後だれも確認しません。");
    output::line("Your consent is withdrawn. Nothing looks on this PC any more.");
    let mut failed = 0;
    let names = hosts::names(home);
    if names.is_empty() {
        output::line("登録済みのホストが見つかりません。ホストには次の接続時に伝えます。");
        output::line(
            "No host is kept here by name, so none was told yet. Each is told when you connect to it next.",
        );
    }
    for name in names {
        match tell(home, &name, membership, &key) {
            Ok(true) => output::line(&format!(
                "{name}: 登録データを消去しました / your data are erased (receipt kept)"
            )),
            Ok(false) => {
                failed += 1;
                output::line(&format!(
                    "{name}: もう使用されません。数分後に再実行すると消去の証明を受け取れます / no longer used; run this again in a few minutes for the receipt that they are erased"
                ));
            }
            Err(error) => {
                failed += 1;
                output::line(&format!(
                    "{name}: まだ完了していません。次の接続時、または再実行時に伝えます / not done yet: {error}. It is told at the next connection, or when you run this again"
                ));
            }
        }
    }
    anyhow::ensure!(
        failed == 0,
        "{failed} host(s) have not erased everything yet. Run `sudare consent --withdraw` again"
    );
    Ok(())
}

/// Whether nothing is left at this host. One that cannot be told keeps nobody from telling the others.
fn tell(home: &Path, name: &str, membership: &Membership, key: &SigningKey) -> anyhow::Result<bool> {
    let host = hosts::find(home, name)?;
    Ok(pairing::withdraw(pair::options(&host.address)?, membership.clone(), key.clone())?)
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
