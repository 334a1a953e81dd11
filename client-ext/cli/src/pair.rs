//! `sudare pair`: from a code to a membership, in one command.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use sudare_client_runtime::hosts::{self, NAME_MAX_CHARS, PairedHost};
use sudare_client_runtime::membership::Membership;
use sudare_client_runtime::{clock, device, operator};
use sudare_headless::RdpOptions;
use sudare_headless::pairing::{self, Seen};
use sudare_protocol::client::Pairing;
use sudare_protocol::enrol::PairingCode;
use sudare_protocol::hex::hex;
use sudare_protocol::limits::TEMPLATE_MAX_BYTES;
use sudare_protocol::template::OperatorTemplate;

use crate::{consent, enroll, models, output};

/// Pair this PC with a host, by the code that its administrator gave you
///
/// It shows what the organisation tells, takes half a minute of looks at you, and has the host let this PC in. Without
/// CODE it asks for it. Nothing else has to be exchanged.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudare pair vdi.example/4J8K-7M2P-…
  sudare pair --clip camera:1                  asks for the code
  sudare pair --operator me.operator           with a file of `sudare enroll`
  sudare pair --no-face                        where only somebody's presence counts")]
pub(crate) struct Arguments {
    /// The code; O for 0, small letters, spaces and no hyphens are fine
    #[arg(value_name = "CODE")]
    code: Option<String>,
    /// What looks at you while you enrol (see `sudare watch --help`)
    #[arg(long, value_name = "SOURCE", default_value = "camera:0", conflicts_with_all = ["images", "operator"])]
    clip: String,
    /// Pictures of you instead; may be repeated
    #[arg(long = "image", value_name = "FILE", num_args = 1.., conflicts_with = "operator")]
    images: Vec<PathBuf>,
    /// An operator file of `sudare enroll` instead
    #[arg(long, value_name = "OPERATOR")]
    operator: Option<PathBuf>,
    /// No looks at you, where your organisation compares no faces (presence only)
    #[arg(long, conflicts_with_all = ["clip", "images", "operator"])]
    no_face: bool,
    /// Accept the notice without being asked, after you have read it elsewhere
    #[arg(long)]
    accept: bool,
    /// How `sudare open` calls this host; by default its address
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let code = code(arguments.code.as_deref())?;
    anyhow::ensure!(
        !code.is_expired(clock::wall_ms()),
        "this code has expired. Ask your VDI administrator for a new one / このコードは期限切れです。管理者に新しいコードをご依頼ください"
    );
    let name = arguments.name.clone().map_or_else(|| name_of(&code.address), Ok)?;
    // A code is used up once, and not for a host that cannot be kept.
    hosts::check_name(&name)?;
    let home = operator::device_dir()?;
    let membership = Membership::at(&home);
    let seen = pairing::look(options(&code.address)?, membership.organisation()?, &code);
    let seen = match seen {
        Ok(seen) => Some(seen),
        // Its notice, if it has one, is told at the log-on.
        Err(error) if error.wants_log_on() => None,
        Err(error) => return Err(error.into()),
    };
    if let Some(Seen { look, .. }) = &seen {
        output::line(&format!("{} ({})", look.host_id, look.organisation));
        if let Some(notice) =
            look.notice.as_ref().filter(|notice| !membership.consents().contains(&notice.digest()))
        {
            consent::ask(&membership, notice, arguments.accept)?;
        }
    }
    let template = if arguments.no_face { None } else { Some(template(arguments)?) };
    membership.begin(&Pairing { code: code.clone(), template })?;
    let Some(seen) = seen else { return at_log_on(&name) };
    let mut host =
        PairedHost { address: code.address.clone(), certificate_sha256: hex(&seen.certificate), user: None };
    let paired = pairing::pair(options(&code.address)?, membership.clone(), device::device_key(&home)?);
    match paired {
        Ok(paired) => {
            host.user = paired.user;
            hosts::keep(&home, &name, &host)?;
            output::line(&format!("この PC は {name} に登録されました。接続: sudare open {name}"));
            output::line(&format!("This PC is paired with {name}. Connect with: sudare open {name}"));
            Ok(())
        }
        Err(error) if error.is_waiting() => {
            hosts::keep(&home, &name, &host)?;
            output::line(&format!("管理者の承認待ちです。承認後: sudare open {name}"));
            output::line(&format!("Waiting for your administrator. Once approved: sudare open {name}"));
            Ok(())
        }
        Err(error) => {
            // A code that does not fit is not tried again at every connection.
            if error.is_final() {
                membership.forget_pairing()?;
            }
            Err(error.into())
        }
    }
}

/// NLA: only the RDP client has the password.
fn at_log_on(name: &str) -> anyhow::Result<()> {
    output::line("ホストがログオンを先に求めています。次の接続時に登録が完了します。");
    output::line(&format!(
        "This host wants your log-on first. Connect with your RDP client and /dvc:sudare: the pairing with {name} is completed then."
    ));
    Ok(())
}

fn code(given: Option<&str>) -> anyhow::Result<PairingCode> {
    if let Some(text) = given {
        return Ok(PairingCode::parse(text)?);
    }
    anyhow::ensure!(io::stdin().is_terminal(), "no code was given. Type it: sudare pair CODE");
    output::note("登録コードを入力してください / Type the code:");
    let line = io::stdin().lock().lines().next().context("nothing was typed. Run `sudare pair` again")??;
    Ok(PairingCode::parse(&line)?)
}

/// Whom the host is to let in.
fn template(arguments: &Arguments) -> anyhow::Result<OperatorTemplate> {
    if let Some(path) = &arguments.operator {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        anyhow::ensure!(bytes.len() <= TEMPLATE_MAX_BYTES, "{} is no operator file", path.display());
        let template = OperatorTemplate::from_bytes(&bytes).with_context(|| path.display().to_string())?;
        let rotation = operator::device_rotation(&operator::device_dir()?)?;
        if template.rotation_id != rotation.id() {
            bail!(operator::OperatorError::OtherDevice { path: path.clone() });
        }
        return Ok(template);
    }
    models::fetch_at_first_use()?;
    let clip = arguments.images.is_empty().then_some(arguments.clip.as_str());
    enroll::take(clip, &arguments.images)
}

pub(crate) fn options(of: &str) -> anyhow::Result<RdpOptions> {
    let (host, port) = address(of)?;
    Ok(RdpOptions {
        host,
        port,
        user: String::new(),
        password: String::new(),
        width: 1024,
        height: 768,
        connect_timeout: Duration::from_secs(30),
    })
}

/// Host and port of an address; an IPv6 address with a port is in brackets.
pub(crate) fn address(text: &str) -> anyhow::Result<(String, u16)> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            (host, port.parse().with_context(|| format!("{port:?} is not a port"))?)
        }
        _ => (text, 3389),
    };
    Ok((host.trim_matches(['[', ']']).to_owned(), port))
}

/// What `sudare open` calls a host that nobody gave a name: its address without the port.
fn name_of(text: &str) -> anyhow::Result<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let (host, _) = address(text)?;
    Ok(host.chars().map(|c| if is_plain(c) { c } else { '-' }).take(NAME_MAX_CHARS).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_ports_or_the_usual_one() {
        for (text, host, port) in [
            ("vdi.example", "vdi.example", 3389),
            ("vdi.example:3390", "vdi.example", 3390),
            ("[2001:db8::1]:3390", "2001:db8::1", 3390),
            ("2001:db8::1", "2001:db8::1", 3389),
        ] {
            assert_eq!(address(text).unwrap(), (host.to_owned(), port));
        }
        assert!(address("vdi:port").is_err());
        for text in ["[2001:db8::1]:3390", "2001:db8::1"] {
            assert_eq!(name_of(text).unwrap(), "2001-db8--1");
        }
        assert_eq!(name_of(&"long.".repeat(60)).unwrap().len(), NAME_MAX_CHARS);
    }
}
